mod behaviour;
mod layers;
mod messages;
mod payloads;
mod vectors;

mod behaviour;
mod layers;
mod payloads;

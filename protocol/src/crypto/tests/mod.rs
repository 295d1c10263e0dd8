mod behaviour;
mod layers;
mod payloads;
mod vectors;

mod annotated;
mod frontiers;
mod model;
mod order;
mod vectors;

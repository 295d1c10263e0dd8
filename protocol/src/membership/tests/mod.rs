mod forks;
mod model;
mod properties;
mod vectors;
mod worlds;

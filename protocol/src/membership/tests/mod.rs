mod forks;
mod model;
mod properties;
mod updates;
mod vectors;
mod worlds;

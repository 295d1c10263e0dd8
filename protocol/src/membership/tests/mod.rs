mod forks;
mod properties;
mod updates;
mod vectors;
mod worlds;

mod forks;
mod heads;
mod properties;
mod updates;
mod vectors;
mod worlds;

mod model;
mod properties;
mod worlds;

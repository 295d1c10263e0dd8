mod arbitrary;
mod bundles;
mod disk;
mod frames;
mod publish;
mod sessions;
mod tokens;
mod world;

mod arbitrary;
mod bundles;
mod frames;
mod publish;
mod sessions;
mod tokens;
mod world;

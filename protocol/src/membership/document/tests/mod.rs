mod fixtures;
mod orders;
mod saves;
mod takes;
mod vectors;
mod waits;

mod fixtures;
mod forks;
mod orders;
mod saves;
mod takes;
mod vectors;
mod waits;

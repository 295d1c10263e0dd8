mod circuits;
mod notices;
mod vectors;

mod circuits;
mod notices;
mod records;
mod vectors;

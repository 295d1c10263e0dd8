//! Two relays that forward to each other, over memory stores and a network that loses what it is told to lose.

mod lost;
mod path;
mod refused;
mod world;

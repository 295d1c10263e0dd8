mod bundles;
mod devices;
mod fixtures;
mod identities;
mod introductions;
mod invitations;
mod lists;
mod vectors;

//! The relay's machine over its real store, with a sync for every commit. `cargo bench -p undertone-relay`.
//!
//! `relay`: what 64 senders cost that publish at once, and what 64 devices cost that drain, in one thread. `relay store
//! append with 64 producers, and drain`: the server's own writer, with as many threads that hand it work and wait for
//! the receipts; and a filled mailbox that one device drains.

#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

mod append;
mod world;

use std::cell::RefCell;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use world::{SIDES, World};

criterion_group!(benches, relay, append::append);
criterion_main!(benches);

fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay");
    group.throughput(Throughput::Elements(SIDES.into()));
    for (place, world) in [("on disk", World::on_disk as fn() -> World), ("in memory", World::in_memory)] {
        // 64 publishes and one commit.
        let storing = RefCell::new(world());
        group.bench_function(format!("store 64 {place}"), |bencher| {
            bencher.iter_batched(
                || storing.borrow_mut().publishes(),
                |inputs| storing.borrow_mut().handle(inputs),
                BatchSize::PerIteration,
            );
        });
        // 64 deliveries and what they put out; their acknowledgements and one commit.
        let draining = RefCell::new(world());
        group.bench_function(format!("drain 64 {place}"), |bencher| {
            bencher.iter_batched(
                || draining.borrow_mut().publish_all(),
                |(credits, acks)| {
                    let mut world = draining.borrow_mut();
                    (world.handle(credits), world.handle(acks))
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

use std::collections::BTreeMap;
use std::sync::mpsc as answers;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::sync::mpsc;
use undertone_protocol::wire::frame::Body;
use undertone_relay::core::{ConnId, Input, Output};

use crate::world::{SIDES, World, ack, conn, credit, sent};

/// What may wait for the writer, and what it takes at a time: as the server has them unless its operator says otherwise.
const WAITING_MAX: usize = 1_024;
const DRAIN_EVENTS_MAX: usize = 512;
/// Messages in the mailbox that is drained, and how many may be on their way: a device's window.
const FILLED: u64 = 2_048;
const WINDOW: u64 = 256;

pub(crate) fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay store append with 64 producers, and drain");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(SIDES.into()));
    let mut world = World::on_disk();
    // A message of each producer: published, durable, and its receipt is back.
    group.bench_function("append", |bencher| {
        bencher.iter_custom(|rounds| {
            let work = (0..SIDES).map(|side| (0..rounds).map(|_| world.publish(side)).collect());
            let work: Vec<Vec<Input>> = work.collect();
            let commits = world.writer.commits();
            let took = produce(&mut world, work);
            let commits = world.writer.commits() - commits;
            println!("{} messages in {commits} commits", rounds * u64::from(SIDES));
            took
        });
    });
    group.throughput(Throughput::Elements(FILLED));
    let mut world = World::on_disk();
    let mut filled = 0;
    group.bench_function(BenchmarkId::new("drain", FILLED), |bencher| {
        bencher.iter_custom(|rounds| {
            (0..rounds)
                .map(|_| {
                    fill(&mut world);
                    filled += FILLED;
                    drain(&mut world, filled)
                })
                .sum()
        });
    });
    group.finish();
}

/// As many threads as there are senders, each with a message under way at a time, and the one writer. Gives how long
/// it takes until the last receipt.
fn produce(world: &mut World, work: Vec<Vec<Input>>) -> Duration {
    let (queue, waiting) = mpsc::channel(WAITING_MAX);
    let begin = Instant::now();
    thread::scope(|scope| {
        let mut receipts = BTreeMap::new();
        for (side, messages) in (0..).zip(work) {
            let (receipt, received) = answers::sync_channel(1);
            receipts.insert(conn(side), receipt);
            let queue = queue.clone();
            scope.spawn(move || {
                for message in messages {
                    queue.blocking_send(message).unwrap();
                    received.recv().unwrap();
                }
            });
        }
        drop(queue);
        write(world, waiting, &receipts);
    });
    begin.elapsed()
}

/// The server's loop without its connections: takes what waits, and lets the receipts go when they are durable.
fn write(
    world: &mut World,
    mut waiting: mpsc::Receiver<Input>,
    receipts: &BTreeMap<ConnId, answers::SyncSender<()>>,
) {
    let mut inputs = Vec::new();
    while waiting.blocking_recv_many(&mut inputs, DRAIN_EVENTS_MAX) > 0 {
        let mut taken = Vec::new();
        let release = |outputs: Vec<Output>| {
            for output in outputs {
                taken.extend(sent(&output));
                if let Output::Send { conn, frame } = output
                    && let Some(Body::Published(_)) = frame.body
                {
                    // The last receipt may come when its thread is over.
                    let _ = receipts[&conn].send(());
                }
            }
        };
        world.writer.drain(std::mem::take(&mut inputs), world.now, release).unwrap();
        inputs = taken;
    }
    world.writer.drain(inputs, world.now, drop).unwrap();
}

/// Fills the first mailbox.
fn fill(world: &mut World) {
    for _ in 0..FILLED / WINDOW {
        let messages = (0..WINDOW).map(|_| world.publish(0)).collect();
        world.handle(messages);
    }
}

/// Its device takes all there is, a window at a time, up to the number `through`.
fn drain(world: &mut World, through: u64) -> Duration {
    let begin = Instant::now();
    let mut taken = through - FILLED;
    while taken < through {
        let outputs = world.handle(vec![credit(0, taken + WINDOW)]);
        let delivered = u64::try_from(outputs.iter().filter(|output| is_delivery(output)).count()).unwrap();
        assert_eq!(delivered, WINDOW, "not all were delivered");
        taken += delivered;
        world.handle(vec![ack(0, taken)]);
    }
    begin.elapsed()
}

fn is_delivery(output: &Output) -> bool {
    matches!(output, Output::Send { frame, .. } if matches!(frame.body, Some(Body::Deliver(_))))
}

mod acknowledgements;
mod custody;
mod parts;
mod vectors;

use super::Tick;

#[test]
fn ticks_ascend() {
    let ticks = [Tick::Queued, Tick::Waiting, Tick::Sent, Tick::Delivered, Tick::Read];
    assert!(ticks.is_sorted());
    assert_eq!(ticks.map(Tick::as_str), ["queued", "waiting", "sent", "delivered", "read"]);
}

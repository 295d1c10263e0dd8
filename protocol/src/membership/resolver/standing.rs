use super::bits::Bits;
use super::graph::{Graph, since};
use crate::membership::role::Rank;

/// Where a user stands in one set of operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// A member's; `None`: not in.
    pub(super) rank: Option<Rank>,
    /// A past member's.
    pub(super) last: Option<Rank>,
    /// The grants that give the rank.
    pub(super) grants: Vec<usize>,
}

/// Rules 11 and 12, where these operations count.
pub(super) fn standing(graph: &Graph, counts: &Bits, user: usize) -> Standing {
    let person = graph.person(user);
    let counting = || person.grants.iter().copied().filter(|grant| counts.contains(*grant));
    let removals: Vec<usize> =
        person.removals.iter().copied().filter(|removal| counts.contains(*removal)).collect();
    // What lies below stands before some removal, and is dead.
    let floor = dead_below(graph, &removals);
    let live = counting().filter(|grant| *grant >= floor && is_live(graph, &removals, *grant));
    let maximal_live = maximal(graph, live);
    if maximal_live.is_empty() {
        let (last, _) = resolve(graph, &maximal(graph, counting()));
        return Standing { rank: None, last, grants: Vec::new() };
    }
    let (rank, grants) = resolve(graph, &maximal_live);
    Standing { rank, last: None, grants }
}

fn dead_below(graph: &Graph, removals: &[usize]) -> usize {
    let mut floor = 0;
    for removal in removals.iter().rev() {
        if *removal <= floor {
            break;
        }
        floor = floor.max(graph.node(*removal).past.floor());
    }
    floor
}

/// Rule 11. The removals count.
fn is_live(graph: &Graph, removals: &[usize], grant: usize) -> bool {
    let node = graph.node(grant);
    let ignored = |removal: usize| {
        let removal = graph.node(removal);
        let had_removed = |removed: &Bits| removed.contains(removal.user);
        !removal.past.contains(grant) && node.judgement.removed.as_deref().is_some_and(had_removed)
    };
    let later = since(removals, node.past.floor()).iter().copied();
    later.filter(|removal| !node.past.contains(*removal)).all(ignored)
}

/// Those that none of the others stands on. They come ascending.
pub(super) fn maximal(graph: &Graph, ascending: impl DoubleEndedIterator<Item = usize>) -> Vec<usize> {
    let mut maximal: Vec<usize> = Vec::new();
    let mut floor = 0;
    for at in ascending.rev() {
        if at < floor {
            break;
        }
        if !maximal.iter().any(|other| graph.node(*other).past.contains(at)) {
            maximal.push(at);
            floor = floor.max(graph.node(at).past.floor());
        }
    }
    maximal
}

/// Rule 12: the rank that these grants give, and which of them give it.
fn resolve(graph: &Graph, grants: &[usize]) -> (Option<Rank>, Vec<usize>) {
    let given = |grant: &usize| graph.node(*grant).judgement.grant.map(|(_, rank)| rank);
    // What somebody grants who stands below what another one gives takes nothing from it.
    let overruled = |grant: &usize| {
        let by = graph.node(*grant).judgement.rank;
        let above = |other: Option<Rank>| other.map(|rank| rank.role) < given(grant).map(|rank| rank.role);
        grants.iter().any(|other| above(given(other)) && by > given(other))
    };
    let left: Vec<(Rank, usize)> = grants
        .iter()
        .filter(|grant| !overruled(grant))
        .filter_map(|grant| Some((given(grant)?, *grant)))
        .collect();
    let Some(role) = left.iter().map(|(rank, _)| rank.role).max() else { return (None, Vec::new()) };
    let rank = left.iter().map(|(rank, _)| *rank).filter(|rank| rank.role == role).min();
    let grants = left.iter().filter(|(given, _)| Some(*given) == rank).map(|(_, grant)| *grant).collect();
    (rank, grants)
}

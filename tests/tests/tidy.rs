//! The house stays tidy: no import cycles between modules, no marks of unfinished work; rooms that grew
//! large are reported.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use undertone_tests::seeded::faults;

const CRATES: [&str; 6] = ["protocol", "transport", "relay", "node", "tests", "examples"];
const LINES_LARGE: usize = 400;

/// A module: its path from the crate's root.
type Module = Vec<String>;

#[test]
fn no_import_cycles() {
    let mut cycles = Vec::new();
    for krate in CRATES {
        for (parent, edges) in sibling_edges(&sources(&root().join(krate).join("src"))) {
            if let Some(cycle) = find_cycle(&edges) {
                cycles.push(format!("{krate}::{}: {}", parent.join("::"), cycle.join(" -> ")));
            }
        }
    }
    assert!(cycles.is_empty(), "import cycles:\n{}", cycles.join("\n"));
}

#[test]
fn a_cycle_would_be_found() {
    let module = |name: &str| vec![name.to_owned()];
    let sources = BTreeMap::from([
        (module("a"), "use crate::b::Thing;".to_owned()),
        (module("b"), "use super::{c::Other, d};".to_owned()),
        (module("c"), "fn f() { crate::a::g() }".to_owned()),
        (module("d"), String::new()),
    ]);
    let edges = sibling_edges(&sources);
    let cycle = find_cycle(edges.get(&Vec::new()).unwrap()).unwrap();
    assert_eq!(cycle.first(), cycle.last());
    assert_eq!(cycle.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn no_marks_of_unfinished_work() {
    let marks = ["TODO", "FIXME", "XXX", "HACK"].map(|mark| format!("{mark}:"));
    for file in rust_files() {
        let text = fs::read_to_string(&file).unwrap();
        for mark in &marks {
            assert!(!text.contains(mark), "{}: {mark}", file.display());
        }
    }
}

#[test]
fn seeded_faults_still_fit_the_source() {
    let faults = faults().unwrap();
    let mut stale = Vec::new();
    for fault in &faults {
        let text = fs::read_to_string(root().join(&fault.file)).unwrap_or_default();
        let count = text.matches(&fault.old).count();
        if count != 1 {
            stale.push(format!("{}: its old text stands {count} times in {}", fault.name, fault.file));
        }
    }
    assert!(stale.is_empty(), "faults in tests/faults.toml to be mended:\n{}", stale.join("\n"));
    assert!(faults.len() >= 20, "only {} faults", faults.len());
}

#[test]
fn large_rooms_are_reported() {
    let mut large: Vec<_> = rust_files()
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_LARGE)
        .collect();
    large.sort();
    for (lines, file) in &large {
        println!("{lines} lines: {}", file.display());
    }
    let huge = large.iter().filter(|(lines, _)| *lines > 2 * LINES_LARGE).count();
    assert_eq!(huge, 0, "a file of more than {} lines holds two concerns", 2 * LINES_LARGE);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn rust_files() -> Vec<PathBuf> {
    CRATES.iter().flat_map(|krate| files_below(&root().join(krate))).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules of a crate with their text, tests left out.
fn sources(src: &Path) -> BTreeMap<Module, String> {
    let mut sources = BTreeMap::new();
    for file in files_below(src) {
        let relative = file.strip_prefix(src).unwrap().with_extension("");
        let mut module: Module =
            relative.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            module.pop();
        }
        if module.iter().any(|part| part == "tests" || part == "conformance" || part == "bin") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code: String = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        let code =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        sources.entry(module).or_insert_with(String::new).push_str(&code);
    }
    sources
}

type Edges = BTreeMap<String, BTreeSet<String>>;

/// Which of the modules of one parent import from which, for each parent.
fn sibling_edges(sources: &BTreeMap<Module, String>) -> BTreeMap<Module, Edges> {
    let mut modules: BTreeSet<Module> = BTreeSet::new();
    for module in sources.keys() {
        for length in 1..=module.len() {
            modules.insert(module[..length].to_vec());
        }
    }
    let mut all: BTreeMap<Module, Edges> = BTreeMap::new();
    for (from, text) in sources {
        for to in references(from, text) {
            let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            let (Some(a), Some(b)) = (from.get(common), to.get(common)) else { continue };
            if modules.contains(&to[..=common]) {
                all.entry(from[..common].to_vec())
                    .or_default()
                    .entry(a.clone())
                    .or_default()
                    .insert(b.clone());
            }
        }
    }
    all
}

/// The paths that a module's text names, from the crate's root.
fn references(from: &Module, text: &str) -> Vec<Module> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let mut rest = &text[at + word.len()..];
        let mut base = if word == "crate::" { Vec::new() } else { parent(from) };
        while let Some(further) = rest.strip_prefix("super::") {
            base = parent(&base);
            rest = further;
        }
        for path in paths(rest) {
            found.push(base.iter().cloned().chain(path).collect());
        }
    }
    found
}

fn parent(module: &Module) -> Module {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// The paths of a use tree: `a::{b, c::D}` gives `a::b` and `a::c::D`.
fn paths(text: &str) -> Vec<Module> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[name.len()..];
    if name.is_empty() {
        let Some(inside) = text.strip_prefix('{') else { return Vec::new() };
        return split_group(inside).iter().flat_map(|part| paths(part.trim())).collect();
    }
    let deeper = rest.strip_prefix("::").map(paths).unwrap_or_default();
    if deeper.is_empty() {
        return vec![vec![name]];
    }
    deeper.into_iter().map(|path| std::iter::once(name.clone()).chain(path).collect()).collect()
}

/// The parts of a group, up to its closing brace.
fn split_group(inside: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part));
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part);
    parts
}

fn find_cycle(edges: &Edges) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| visit(start, edges, &mut Vec::new(), &mut done))
}

fn visit(
    module: &str,
    edges: &Edges,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(at) = path.iter().position(|on_path| on_path == module) {
        return Some(path[at..].iter().cloned().chain([module.to_owned()]).collect());
    }
    if !done.insert(module.to_owned()) {
        return None;
    }
    path.push(module.to_owned());
    let cycle = edges.get(module).into_iter().flatten().find_map(|next| visit(next, edges, path, done));
    path.pop();
    cycle
}

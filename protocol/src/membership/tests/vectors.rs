//! `vectors/membership/rules.json` and `pairs.json`: what another implementation can check itself against. The
//! resolver answers them as they stand, and so does the model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::membership::resolve_json;
use crate::testing::membership_model::{ADMIN, Cut, Device, Entry, Id, Kind, MEMBER, Model, OWNER, Op};

fn path(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/membership").join(name)
}

fn cases(name: &str) -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn answer(case: &Value) -> Value {
    serde_json::from_str(&resolve_json(&case["input"].to_string()).unwrap()).unwrap()
}

/// One case a line. With `UPDATE_VECTORS=1` the answers are written first.
fn assert_answers(name: &str) {
    let mut cases = cases(name);
    if std::env::var_os("UPDATE_VECTORS").is_some_and(|value| value == "1") {
        cases.iter_mut().for_each(|case| case["expected"] = answer(case));
        let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
        std::fs::write(path(name), format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
    }
    for case in cases {
        assert_eq!(answer(&case), case["expected"], "{name}: {}", case["about"]);
    }
}

#[test]
fn the_rules_have_vectors() {
    assert_answers("rules.json");
}

#[test]
fn pairs_of_concurrent_kinds_have_vectors() {
    assert_answers("pairs.json");
    let kinds: BTreeSet<String> = cases("pairs.json").iter().map(|case| pair(&case["kinds"])).collect();
    assert_eq!(kinds.len(), 8 * 9 / 2, "every pair of kinds but Create, which stands beside nothing");
}

fn pair(kinds: &Value) -> String {
    let kinds: BTreeSet<&str> = kinds.as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    kinds.into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_order_in_the_list_says_nothing() {
    for mut case in cases("rules.json").into_iter().chain(cases("pairs.json")) {
        case["input"]["operations"].as_array_mut().unwrap().reverse();
        let sorted = |answer: &Value| {
            let mut answer = answer.clone();
            answer["operations"].as_array_mut().unwrap().sort_by_key(|verdict| verdict["id"].to_string());
            answer
        };
        assert_eq!(sorted(&answer(&case)), sorted(&case["expected"]), "{}", case["about"]);
    }
}

#[test]
fn the_model_answers_as_the_vectors() {
    for case in cases("rules.json").into_iter().chain(cases("pairs.json")) {
        let expected = expected_in_short(&case["expected"]);
        assert_eq!(Reading::of(&case, None).answer(), expected, "{}", case["about"]);
    }
}

#[test]
fn each_rule_has_a_vector_that_needs_it() {
    for rule in 1..=16_u8 {
        let needs = |case: &&Value| {
            case["rule"] == json!(rule)
                && Reading::of(case, Some(rule)).answer() != expected_in_short(&case["expected"])
        };
        assert!(cases("rules.json").iter().any(|case| needs(&case)), "rule {rule}");
    }
}

/// What the model knows of an answer: members, who acts as owner, name and policy, what does not count by which
/// rule.
fn expected_in_short(expected: &Value) -> Value {
    let list = |name: &str| expected[name].as_array().cloned().unwrap_or_default();
    let members: BTreeMap<String, Value> = list("members")
        .iter()
        .map(|member| (text(&member["user"]), json!([member["role"], member["generation"], member["grant"]])))
        .collect();
    let past: BTreeMap<String, Value> = list("past_members")
        .iter()
        .map(|member| (text(&member["user"]), json!([member["role"], member["generation"]])))
        .collect();
    let void = |name: &str| -> BTreeMap<String, Value> {
        let void = list(name).into_iter().filter(|verdict| verdict["counts"] == json!(false));
        void.map(|verdict| (text(&verdict["id"]), verdict["rule"].clone())).collect()
    };
    let links: BTreeSet<String> = list("links").iter().map(|link| text(&link["id"])).collect();
    json!({
        "members": members,
        "past": past,
        "acting": expected["acting_owner"],
        "name": expected["settings"]["name"],
        "may_add": expected["settings"]["may_add"],
        "links": links,
        "void": void("operations"),
        "entries": void("entries"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A case in the model's terms: names in their order as numbers.
struct Reading {
    names: Vec<String>,
    model: Model,
    not_there: Vec<Id>,
    entries: Vec<(String, Option<Entry>)>,
}

impl Reading {
    fn of(case: &Value, without: Option<u8>) -> Self {
        let operations = case["input"]["operations"].as_array().unwrap();
        let mut names = BTreeSet::new();
        collect(&case["input"], &mut names);
        let names: Vec<String> = names.into_iter().collect();
        let mut reading = Self { names, model: Model::default(), not_there: Vec::new(), entries: Vec::new() };
        let mut ids: Vec<(Id, &Value)> = operations
            .iter()
            .map(|operation| (reading.number(&operation["id"]).unwrap(), operation))
            .collect();
        ids.sort_by_key(|(id, _)| *id);
        // Rule 1: what is there.
        loop {
            let before = reading.model.ops.len();
            for (id, operation) in &ids {
                if !reading.model.ops.contains_key(id) && reading.may_be_there(operation, without == Some(1))
                {
                    let op = reading.op(operation);
                    reading.model.ops.insert(*id, op);
                }
            }
            if reading.model.ops.len() == before {
                break;
            }
        }
        let there = |(id, _): &(Id, &Value)| (!reading.model.ops.contains_key(id)).then_some(*id);
        reading.not_there = ids.iter().filter_map(there).collect();
        if without != Some(1) {
            reading.leave_out(&ids);
        }
        reading.model.without = without;
        reading.read_entries(&case["input"]["entries"]);
        reading
    }

    fn may_be_there(&self, operation: &Value, all: bool) -> bool {
        let parents = self.numbers(&operation["parents"]);
        let creates = operation["kind"] == json!("create");
        let is_second = creates && !self.model.ops.is_empty();
        if is_second || !parents.iter().all(|parent| self.model.ops.contains_key(parent)) {
            return false;
        }
        let below: BTreeSet<Id> = parents.iter().flat_map(|parent| self.model.past(*parent)).collect();
        let distinct: BTreeSet<Id> = parents.iter().copied().collect();
        let antichain = distinct.len() == parents.len() && below.is_disjoint(&distinct);
        let right = self.model.number_for(self.device(operation), &parents);
        let given = operation["number"].as_u64().map(|number| usize::try_from(number).unwrap());
        let numbered = right.is_some_and(|right| right < 4_096 && given.is_none_or(|given| given == right));
        let is_signed = operation["bad_signature"] != json!(true);
        all || antichain && parents.len() <= 8 && numbered && is_signed
    }

    /// What is of forked devices, and not anchored. What has no place is proof too, if its number is given.
    fn leave_out(&mut self, ids: &[(Id, &Value)]) {
        let mut numbers: BTreeMap<(Device, usize), usize> = BTreeMap::new();
        for (id, operation) in ids {
            let there = self.model.ops.contains_key(id);
            let given = operation["number"].as_u64().filter(|number| *number < 4_096);
            let number = given.map(|number| usize::try_from(number).unwrap());
            let number = number.or_else(|| there.then(|| self.model.number(*id)));
            let creates = operation["kind"] == json!("create");
            let counts = (there || !creates) && operation["bad_signature"] != json!(true);
            if let Some(number) = number.filter(|_| counts) {
                *numbers.entry((self.device(operation), number)).or_default() += 1;
            }
        }
        let twice = numbers.into_iter().filter(|(_, count)| *count > 1).map(|(place, _)| place).collect();
        let anchored = self.model.anchored(&twice);
        self.not_there.extend(self.model.ops.keys().copied().filter(|id| !anchored.contains(id)));
        self.model.anchored = Some(anchored);
    }

    fn number(&self, name: &Value) -> Option<usize> {
        self.names.iter().position(|known| Some(known.as_str()) == name.as_str())
    }

    fn numbers(&self, names: &Value) -> Vec<usize> {
        names.as_array().into_iter().flatten().filter_map(|name| self.number(name)).collect()
    }

    fn device(&self, value: &Value) -> usize {
        self.number(&value["device"]).or_else(|| self.number(&value["author"])).unwrap()
    }

    fn op(&self, operation: &Value) -> Op {
        let target = || self.number(&operation["user"]).unwrap();
        let role = || role(&operation["role"]).unwrap();
        let cut = |cut: &Value| Cut {
            operation: self.number(&cut["operation"]),
            entry: self.number(&cut["entry"]),
        };
        let settings = &operation["settings"];
        let kind = match operation["kind"].as_str().unwrap() {
            "create" => Kind::Create {
                cap: operation["cap"].as_u64().map_or(1_024, |cap| cap.try_into().unwrap()),
                name: self.number(&settings["name"]).map(|name| name.try_into().unwrap()),
            },
            "add" => Kind::Add { target: target(), role: role() },
            "remove" => {
                let cuts = operation["cut"].as_array();
                let cut = cuts.map(|cuts| cuts.iter().map(|item| (self.device(item), cut(item))).collect());
                Kind::Remove { target: target(), cut }
            }
            "set_role" => Kind::SetRole { target: target(), role: role() },
            "leave" => Kind::Leave { successor: self.number(&operation["successor"]) },
            "device_revoke" => {
                let item = &operation["cut"][0];
                Kind::DeviceRevoke { target: target(), device: self.device(item), cut: cut(item) }
            }
            "settings" => Kind::Settings {
                name: self.number(&settings["name"]).map(|name| name.try_into().unwrap()),
                add: self::role(&settings["may_add"]),
            },
            "invite_link" => Kind::InviteLink,
            _ => Kind::InviteRevoke { link: self.number(&operation["link"]).unwrap() },
        };
        let user = self.number(&operation["author"]).unwrap();
        Op { user, device: self.device(operation), parents: self.numbers(&operation["parents"]), kind }
    }

    fn read_entries(&mut self, entries: &Value) {
        let entries = entries.as_array().cloned().unwrap_or_default();
        let stands_on = |id: &Value| -> Vec<Value> {
            let entry = entries.iter().find(|entry| entry["id"] == *id).unwrap();
            entry["parents"].as_array().unwrap().clone()
        };
        for entry in &entries {
            let mut below = BTreeSet::new();
            for other in &entries {
                let mut open = vec![other["id"].clone()];
                while let Some(next) = open.pop() {
                    if next == entry["id"] {
                        below.extend(self.number(&other["id"]));
                    }
                    open.extend(stands_on(&next));
                }
            }
            let read = Entry {
                user: self.number(&entry["author"]).unwrap(),
                device: self.device(entry),
                heads: self.numbers(&entry["heads"]).into_iter().collect(),
                below,
            };
            self.entries.push((text(&entry["id"]), Some(read)));
        }
    }

    fn answer(mut self) -> Value {
        let view = self.model.everything();
        let name = |number: &usize| self.names[*number].clone();
        let rank = |(role, generation): &(u32, u32)| [json!(role_name(*role)), json!(generation)];
        let member = |(user, given): (&usize, &(u32, u32))| {
            let [role, generation] = rank(given);
            let grant = view.grants[user].first().map(name);
            (name(user), json!([role, generation, grant]))
        };
        let members: BTreeMap<String, Value> = view.members.iter().map(member).collect();
        let past: BTreeMap<String, Value> =
            view.past.iter().map(|(user, last)| (name(user), json!(rank(last)))).collect();
        let void = view.void.iter().map(|(id, rule)| (name(id), json!(rule)));
        let not_there = self.not_there.iter().map(|id| (name(id), json!(1)));
        let void: BTreeMap<String, Value> = void.chain(not_there).collect();
        let links: BTreeSet<String> = view.links.iter().map(name).collect();
        let entries: BTreeMap<String, Value> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                let entry = entry.as_ref().unwrap();
                !self.model.may_name(entry) || !self.model.entry_counts(entry)
            })
            .map(|(id, _)| (id.clone(), json!(15)))
            .collect();
        json!({
            "members": members,
            "past": past,
            "acting": view.acting.as_ref().map(name),
            "name": view.name.map(|number| name(&usize::try_from(number).unwrap())),
            "may_add": role_name(view.add),
            "links": links,
            "void": void,
            "entries": entries,
        })
    }
}

/// All text that stands anywhere: names, and what does no harm among them.
fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(names.insert(text.clone())),
        Value::Array(values) => values.iter().for_each(|value| collect(value, names)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, names)),
        _ => {}
    }
}

fn role(role: &Value) -> Option<u32> {
    match role.as_str()? {
        "owner" => Some(OWNER),
        "admin" => Some(ADMIN),
        _ => Some(MEMBER),
    }
}

fn role_name(role: u32) -> &'static str {
    match role {
        OWNER => "owner",
        ADMIN => "admin",
        _ => "member",
    }
}

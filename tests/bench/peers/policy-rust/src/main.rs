//! The Rust engine under the load of bench_policy.c, with the same form of output:
//! policy-peer FOLDER, the folder of one workload.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, SlotId,
};
use serde_json::{json, Value};
use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

const ROUNDS: usize = 15;
const LOADS: usize = 10;
/// No workload is measured longer than this, but for a few rounds.
const SECONDS: f64 = 10.0;
const ROUNDS_LEAST: usize = 3;

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists and `t` is ours.
    unsafe { libc::clock_gettime(clock, &mut t) };
    t.tv_sec as u64 * 1_000_000_000 + t.tv_nsec as u64
}

fn cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn uid(v: &Value) -> EntityUid {
    EntityUid::from_type_name_and_id(
        EntityTypeName::from_str(v["type"].as_str().unwrap()).unwrap(),
        EntityId::new(v["id"].as_str().unwrap()),
    )
}

fn link(set: &mut PolicySet, links: &Value) {
    let named: HashMap<String, PolicyId> = set
        .templates()
        .map(|t| (t.annotation("id").unwrap().to_owned(), t.id().clone()))
        .collect();
    for l in links.as_array().unwrap() {
        let mut values = HashMap::new();
        for (slot, name) in [
            (SlotId::principal(), "?principal"),
            (SlotId::resource(), "?resource"),
        ] {
            if let Some(v) = l["values"].get(name) {
                values.insert(slot, uid(v));
            }
        }
        set.link(
            named[l["templateId"].as_str().unwrap()].clone(),
            PolicyId::new(l["newId"].as_str().unwrap()),
            values,
        )
        .unwrap();
    }
}

fn request(r: &Value) -> Request {
    Request::new(
        uid(&r["principal"]),
        uid(&r["action"]),
        uid(&r["resource"]),
        Context::from_json_value(r["context"].clone(), None).unwrap(),
        None,
    )
    .unwrap()
}

fn measure(set: &PolicySet, entities: &Entities, requests: &[Request]) -> Value {
    let authorizer = Authorizer::new();
    let mut calls = vec![Vec::new(); requests.len()];
    let mut rounds = Vec::new();
    let begun = Instant::now();
    while rounds.len() < ROUNDS_LEAST
        || (rounds.len() < ROUNDS && begun.elapsed().as_secs_f64() < SECONDS)
    {
        let cpu = cpu_ns();
        for r in requests {
            black_box(authorizer.is_authorized(r, set, entities));
        }
        let mean = (cpu_ns() - cpu) as f64 / requests.len() as f64;
        rounds.push(mean);
        // Reading the thread's clock takes half a microsecond.
        let clock = if mean < 10_000.0 {
            libc::CLOCK_MONOTONIC
        } else {
            libc::CLOCK_THREAD_CPUTIME_ID
        };
        for (i, r) in requests.iter().enumerate() {
            let call = clock_ns(clock);
            black_box(authorizer.is_authorized(r, set, entities));
            calls[i].push(clock_ns(clock) - call);
        }
    }
    rounds.sort_by(f64::total_cmp);
    let mut medians: Vec<u64> = calls
        .iter_mut()
        .map(|c| {
            c.sort_unstable();
            c[c.len() / 2]
        })
        .collect();
    medians.sort_unstable();
    json!({
        "ns": rounds[rounds.len() / 2],
        "p50_ns": medians[medians.len() / 2],
        "p99_ns": medians[medians.len() * 99 / 100],
    })
}

fn throughput<T>(bytes: usize, load: impl Fn() -> T) -> Value {
    let best = (0..LOADS)
        .map(|_| {
            let cpu = cpu_ns();
            black_box(load());
            cpu_ns() - cpu
        })
        .min()
        .unwrap();
    json!({ "mb_s": bytes as f64 * 1e3 / best as f64 })
}

fn print(what: &str, result: Value) {
    let mut line = json!({ "what": what });
    line.as_object_mut()
        .unwrap()
        .extend(result.as_object().unwrap().clone());
    println!("{line}");
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of a workload");
    let read = |name: &str| fs::read_to_string(format!("{folder}/{name}"));
    let policies = read("policies.cedar").unwrap();
    let entities_text = read("entities.json").unwrap();
    let mut set = PolicySet::from_str(&policies).unwrap();
    if let Ok(links) = read("links.json") {
        link(&mut set, &serde_json::from_str(&links).unwrap());
    }
    let entities = Entities::from_json_str(&entities_text, None).unwrap();
    let list: Value = serde_json::from_str(&read("requests.json").unwrap()).unwrap();
    let requests: Vec<Request> = list.as_array().unwrap().iter().map(request).collect();
    drop(list);
    let decisions: String = requests
        .iter()
        .map(|r| {
            match Authorizer::new()
                .is_authorized(r, &set, &entities)
                .decision()
            {
                Decision::Allow => 'A',
                Decision::Deny => 'D',
            }
        })
        .collect();
    print("memory", json!({ "peak_kb": peak_kb() }));
    print("answers", json!({ "decisions": decisions }));
    print("authorize", measure(&set, &entities, &requests));
    print(
        "parse",
        throughput(policies.len(), || PolicySet::from_str(&policies).unwrap()),
    );
    print(
        "entities",
        throughput(entities_text.len(), || {
            Entities::from_json_str(&entities_text, None).unwrap()
        }),
    );
}

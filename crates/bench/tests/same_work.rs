//! Every peer of the build does the work of every scene, and no other.

use thalweg_bench::peers;
use thalweg_bench::run::{Mode, Plan};
use thalweg_bench::workload::{Scene, Side, Workload};

fn plan(workload: Workload, side: Side) -> Plan {
    Plan { scene: Scene { workload, side }, chunks: 3, made: 3, units: 20, held: 0, connections: 1 }
}

fn check_all(peer: &str, plan: &Plan) {
    if let Err(error) = peers::run(peer, plan, Mode::Check) {
        panic!("{peer}, {}: {error}", plan.scene);
    }
}

#[test]
fn every_peer_does_the_work_of_every_scene() {
    for peer in peers::NAMES {
        for workload in Workload::ALL {
            check_all(peer, &plan(workload, Side::Server));
            check_all(peer, &plan(workload, Side::Client));
        }
    }
}

#[test]
fn held_streams_and_more_connections_change_nothing_else() {
    for peer in peers::NAMES {
        check_all(peer, &Plan { held: 200, ..plan(Workload::W1, Side::Server) });
        check_all(peer, &Plan { connections: 7, ..plan(Workload::W1, Side::Server) });
    }
}

#[test]
fn a_peer_that_does_nothing_is_found_out() {
    let error = peers::run("floor", &plan(Workload::W1, Side::Server), Mode::Check).unwrap_err();
    assert!(error.contains("messages: 160"), "{error}");
}

#[test]
fn an_unknown_peer_is_named() {
    let error = peers::run("unknown-peer", &plan(Workload::W1, Side::Server), Mode::Check).unwrap_err();
    assert!(error.contains("unknown-peer"), "{error}");
}

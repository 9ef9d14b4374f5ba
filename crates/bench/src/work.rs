//! The work that a plan asks for, to be compared with what a peer did.

use crate::endpoint::{Endpoint, Seen};
use crate::run::{IDLE_CONNECTIONS, MANY_STREAMS, Plan, WARM_CHUNKS};
use crate::script::ENDLESS_BYTES;
use crate::traffic::{FRAME_BYTES, GET_BODY_BYTES, GRPC_BODY_BYTES};
use crate::wire::Tally;
use crate::workload::{Side, Workload};

/// What an application saw, and what its library sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Work {
    /// What the application saw.
    pub seen: Seen,
    /// What went out.
    pub sent: Tally,
}

impl Work {
    /// Returns what the applications of all connections saw.
    pub fn seen_by<E: Endpoint>(ends: &[E]) -> Self {
        let mut work = Self::default();
        for end in ends {
            let Seen { messages, body_bytes, complete } = end.seen();
            work.seen.messages += messages;
            work.seen.body_bytes += body_bytes;
            work.seen.complete += complete;
        }
        work
    }

    /// Returns all work of a plan, warm-up and held streams included.
    pub fn of(plan: &Plan) -> Self {
        let units = ((WARM_CHUNKS + plan.chunks) * plan.units) as u64;
        let (get_body, grpc_body) = (units * GET_BODY_BYTES as u64, units * GRPC_BODY_BYTES as u64);
        let (body, window) = (units * FRAME_BYTES as u64, u64::from(ENDLESS_BYTES));
        let mut work = Self::default();
        let Self { seen, sent } = &mut work;
        match (plan.scene.workload, plan.scene.side) {
            (Workload::W1 | Workload::W1Lit, Side::Server) => {
                *seen = Seen { messages: units, body_bytes: 0, complete: units };
                *sent = Tally { headers: units, data_bytes: get_body, ends: units, ..Tally::default() };
            }
            (Workload::W1 | Workload::W1Lit, Side::Client) => {
                *seen = Seen { messages: units, body_bytes: get_body, complete: units };
                *sent = Tally { headers: units, ends: units, ..Tally::default() };
            }
            (Workload::W2, side) => {
                let blocks = if side == Side::Server { 2 * units } else { units };
                *seen = Seen { messages: units, body_bytes: grpc_body, complete: units };
                *sent = Tally { headers: blocks, data_bytes: grpc_body, ends: units, ..Tally::default() };
            }
            (Workload::W3Down | Workload::W3Splice, Side::Server) => {
                *seen = Seen { messages: 1, body_bytes: 0, complete: 1 };
                *sent = Tally { headers: 1, data_bytes: window + body, ..Tally::default() };
            }
            (Workload::W3Up | Workload::W3Splice, Side::Client) => {
                *sent = Tally { headers: 1, data_bytes: window + body, ..Tally::default() };
            }
            (Workload::W3Up, Side::Server) => *seen = Seen { messages: 1, body_bytes: body, complete: 0 },
            (Workload::W3Down, Side::Client) => {
                *seen = Seen { messages: 1, body_bytes: body, complete: 0 };
                *sent = Tally { headers: 1, ends: 1, ..Tally::default() };
            }
            (Workload::W4, Side::Server) => *seen = Seen { messages: units, body_bytes: 0, complete: units },
            (Workload::W4, Side::Client) => {
                seen.messages = units;
                *sent = Tally { headers: units, ends: units, resets: units, ..Tally::default() };
            }
            (Workload::W5Idle | Workload::W5Stream | Workload::W6, _) => {}
        }
        let held = if plan.scene.workload == Workload::W5Stream { MANY_STREAMS } else { plan.held } as u64;
        match plan.scene.side {
            Side::Server => seen.messages += held,
            Side::Client => {
                sent.headers += held;
                sent.ends += held;
            }
        }
        work.on_connections(match plan.scene.workload {
            Workload::W5Idle => IDLE_CONNECTIONS + 1,
            Workload::W6 => WARM_CHUNKS + plan.chunks,
            _ => plan.connections,
        })
    }

    fn on_connections(self, connections: usize) -> Self {
        let n = connections as u64;
        let Self { seen, sent } = self;
        Self {
            seen: Seen {
                messages: seen.messages * n,
                body_bytes: seen.body_bytes * n,
                complete: seen.complete * n,
            },
            sent: Tally {
                acks: n,
                headers: sent.headers * n,
                data_bytes: sent.data_bytes * n,
                ends: sent.ends * n,
                resets: sent.resets * n,
            },
        }
    }
}

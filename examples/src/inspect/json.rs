//! A snapshot as JSON for the page. Times are milliseconds.

use std::time::Duration;

use serde_json::{Value, json};
use thalweg_tokio::inspect::{
    ConnectionInfo, ConnectionSnapshot, FrameRecord, MonitorSnapshot, StreamRecord,
};
use thalweg_tokio::thalweg::{HalfState, Settings, StreamSnapshot, WindowSnapshot};

/// Formats all connections in short, and the one with this `id` in full.
pub fn of_snapshot(snapshot: &MonitorSnapshot, id: Option<u64>) -> String {
    let shown = snapshot.connections.iter().find(|view| Some(view.info.id) == id).map(full);
    let connections: Vec<Value> = snapshot.connections.iter().map(short).collect();
    let unresponsive: Vec<Value> = snapshot.unresponsive.iter().map(info).collect();
    let ended = snapshot.ended.iter().map(|ended| {
        let ConnectionInfo { id, peer, is_client, .. } = ended.info;
        let age = millis(ended.age);
        let (reason, warning) = (&ended.reason, ended.is_warning);
        json!({ "id": id, "peer": peer, "client": is_client, "age": age, "how": reason, "warning": warning })
    });
    let ended: Vec<Value> = ended.collect();
    let total = snapshot.connections_total;
    json!({ "total": total, "connections": connections, "silent": unresponsive, "ended": ended, "shown": shown })
        .to_string()
}

/// Chooses the connection to show: this one while it is open, otherwise one with a blocked stream,
/// otherwise the busiest.
pub fn choose(snapshot: &MonitorSnapshot, id: Option<u64>) -> Option<u64> {
    let rank = |view: &&ConnectionSnapshot| (Some(view.info.id) == id, cut_short(view), view.streams.len());
    // Of equal connections the newest, which is the first.
    snapshot.connections.iter().rev().max_by_key(rank).map(|view| view.info.id)
}

fn cut_short(view: &ConnectionSnapshot) -> usize {
    view.streams.iter().filter(|stream| stream.is_blocked).count()
}

fn info(info: &ConnectionInfo) -> Value {
    json!({ "id": info.id, "peer": info.peer, "client": info.is_client, "age": millis(info.opened_at.elapsed()) })
}

fn short(view: &ConnectionSnapshot) -> Value {
    let counters = &view.report.counters;
    json!({
        "id": view.info.id,
        "peer": view.info.peer,
        "client": view.info.is_client,
        "age": millis(view.age),
        "streams": view.streams.len(),
        "cut": cut_short(view),
        "opened": counters.streams_opened,
        "completed": counters.streams_completed,
        "received": counters.bytes_received,
        "sent": counters.bytes_sent,
    })
}

fn full(view: &ConnectionSnapshot) -> Value {
    let mut value = short(view);
    let counters = &view.report.counters;
    let rate_limits = view.rate_limits.iter().map(|rate_limit| {
        let name = rate_limit.limit.config_field().trim_start_matches("rate_limits.");
        json!({ "name": name, "tokens": rate_limit.tokens, "burst": rate_limit.burst })
    });
    value["window"] = window(&view.window);
    value["resets_received"] = json!(counters.resets_received);
    value["resets_sent"] = json!(counters.resets_sent);
    value["rate_limits"] = rate_limits.collect();
    value["live"] = view.streams.iter().map(stream).collect();
    value["notes"] = view.stream_records.iter().map(note).collect();
    value["frames"] = view.frames.iter().map(frame).collect();
    value["settings"] =
        json!({ "remote": settings(&view.remote_settings), "local": settings(&view.local_settings) });
    value["heap"] = json!(view.heap_bytes);
    value["unwritten"] = json!(view.unwritten_bytes);
    value["wants_read"] = json!(view.wants_read);
    value["shows_fields"] = json!(view.shows_fields);
    value
}

fn window(window: &WindowSnapshot) -> Value {
    json!({ "send": window.send, "receive": window.receive, "held": window.held, "due": window.due })
}

fn settings(settings: &Settings) -> Value {
    json!({
        "header_table_size": settings.header_table_size,
        "max_concurrent_streams": settings.max_concurrent_streams,
        "initial_window_size": settings.initial_window_size,
        "max_frame_size": settings.max_frame_size,
    })
}

fn stream(view: &StreamSnapshot) -> Value {
    json!({
        "id": view.stream.id().as_u32(),
        "state": view.state(),
        "local": half(view.local),
        "remote": half(view.remote),
        "priority": view.priority.to_string(),
        "cut": view.is_blocked,
        "window": window(&view.window),
        "send_left": view.send_left,
        "receive_left": view.receive_left,
    })
}

const fn half(half: HalfState) -> &'static str {
    match half {
        HalfState::Headers => "head",
        HalfState::Data => "body",
        HalfState::Closed => "ended",
    }
}

fn note(note: &StreamRecord) -> Value {
    json!({
        "id": note.id.as_u32(),
        "opened": note.opened.map(millis),
        "requested": note.request_ended.map(millis),
        "responded": note.responded.map(millis),
        "ended": note.ended().map(millis),
        "reset": note.reset.map(|(_, code, _)| code.to_string()),
        "reset_by_us": note.reset.map(|(.., by_us)| by_us),
        "method": note.method,
        "path": note.path,
        "status": note.status,
        "received": note.bytes_received,
        "sent": note.bytes_sent,
    })
}

fn frame(frame: &FrameRecord) -> Value {
    json!({
        "number": frame.number,
        "at": millis(frame.at),
        "sent": frame.is_sent,
        "name": frame.name,
        "stream": frame.stream.as_u32(),
        "len": frame.len,
        "detail": frame.detail,
    })
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

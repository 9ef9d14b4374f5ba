//! Events as lines of a transcript.

use thalweg::{Event, HeadersKind};

/// Returns the name under which an event is counted.
pub fn event_name(event: &Event<'_, '_>) -> &'static str {
    match event {
        Event::Headers { kind: HeadersKind::Request, .. } => "Request",
        Event::Headers { kind: HeadersKind::Response, .. } => "Response",
        Event::Headers { kind: HeadersKind::Informational, .. } => "Informational",
        Event::Headers { kind: HeadersKind::Trailers, .. } => "Trailers",
        Event::Headers { .. } => "Push",
        Event::Data { end: false, .. } => "Data",
        Event::Data { .. } => "Data with the end",
        Event::Reset { by: thalweg::ResetCause::Remote, .. } => "Reset by the peer",
        Event::Reset { by: thalweg::ResetCause::GoAway, .. } => "Reset by GOAWAY",
        Event::Reset { .. } => "Reset by us",
        Event::GoAway { .. } => "GoAway",
        Event::Settings { .. } => "Settings",
        Event::SettingsAcknowledged => "SettingsAcknowledged",
        Event::StreamAvailable => "StreamAvailable",
        Event::Pong { .. } => "Pong",
        Event::Priority { .. } => "Priority",
        Event::Origin { .. } => "Origin",
        Event::AltSvc { .. } => "AltSvc",
        Event::Extension { .. } => "Extension",
        _ => "another event",
    }
}

/// Formats an event as one line.
pub fn show_event(event: &Event<'_, '_>) -> String {
    match event {
        Event::Headers { stream, kind, headers, end } => {
            let end = if *end { ", the end" } else { "" };
            let name = headers.status().map_or_else(String::new, |status| format!(" {status}"));
            format!("{kind:?}{name} on stream {stream}, {} fields{end}", headers.fields().len())
        }
        Event::Data { stream, data, end } => {
            let end = if *end { ", the end" } else { "" };
            format!("Data on stream {stream}, {} bytes{end}", data.len())
        }
        event => format!("{event:?}"),
    }
}

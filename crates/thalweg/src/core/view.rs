//! A look at the owners: nothing here changes anything.

use crate::budget::KINDS;
use crate::flow::{ReceiveWindow, SendWindow};
use crate::stream_id::Stream;
use crate::streams::state::State;
use crate::streams::{Slot, Waiting};
use crate::view::{BudgetView, StreamView, WindowView};

use super::Core;

impl Core {
    /// Every live stream.
    pub fn streams(&self) -> impl Iterator<Item = StreamView> {
        self.streams.iter().map(|(stream, slot)| view(stream, slot))
    }

    /// The connection's windows.
    pub fn window(&self) -> WindowView {
        window(self.send_window, &self.receive_window)
    }

    /// What is left of each budget.
    pub fn budgets(&self) -> [BudgetView; KINDS] {
        self.accounts.view()
    }

    /// Whether nothing of a frame is under way in the input.
    pub fn is_between_frames(&self) -> bool {
        self.inbound.is_between_frames()
    }
}

fn view(stream: Stream, slot: &Slot) -> StreamView {
    StreamView {
        stream,
        is_reserved: matches!(slot.state, State::ReservedLocal | State::ReservedRemote),
        local: slot.state.local(),
        remote: slot.state.remote(),
        priority: slot.priority(),
        is_cut_short: slot.waiting != Waiting::No,
        window: window(slot.send_window, &slot.receive_window),
        send_left: slot.send_left.bytes(),
        receive_left: slot.receive_left.bytes(),
    }
}

fn window(send: SendWindow, receive: &ReceiveWindow) -> WindowView {
    WindowView { send: send.as_i64(), receive: receive.available(), held: receive.held(), due: receive.due() }
}

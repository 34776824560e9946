//! An MCP server with a tool that answers when it is told to, and a hostile one.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, SyncSender, sync_channel},
};

use serde_json::{Value, json};

use crate::peer::{self, Reply};

/// The server, and both ends of its tool `wait`. Its tool `shout` answers at once
/// with what terminals act on.
pub(crate) struct Slow {
    pub(crate) url: String,
    arrived: Receiver<()>,
    go: SyncSender<()>,
}

impl Slow {
    pub(crate) fn start() -> Self {
        let (arrive, arrived) = sync_channel(8);
        let (go, going) = sync_channel(8);
        let going = Arc::new(Mutex::new(going));
        let tools = [("wait", "Waits."), ("shout", HOSTILE)];
        let url = peer::serve(&tools, move |call| answer(call, &arrive, &going));
        Self { url, arrived, go }
    }

    /// Waits until a call has arrived.
    pub(crate) fn arrived(&self) {
        self.arrived.recv().expect("the server lives");
    }

    /// Lets one call end.
    pub(crate) fn release(&self) {
        self.go.send(()).expect("the server lives");
    }
}

/// What would clear a screen, colour it, ring, reorder and hide.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;b\u{7}\u{9b}31m\u{202e}c\u{200b}\u{e0041}\r";

/// Answers a call when it is told to.
fn answer(call: &Value, arrive: &SyncSender<()>, going: &Mutex<Receiver<()>>) -> Option<Reply> {
    if call["params"]["name"] == "shout" {
        return Some(Reply::result(&json!({
            "resultType": "complete", "content": [{"type": "text", "text": HOSTILE}],
            "isError": call["params"]["arguments"]["fail"] == true,
            "structuredContent": {HOSTILE: HOSTILE, "list": [{HOSTILE: HOSTILE}]},
        })));
    }
    let _ = arrive.send(());
    going.lock().expect("no panic holds it").recv().ok()?;
    let waited = json!([{"type": "text", "text": "waited"}]);
    Some(Reply::result(
        &json!({"resultType": "complete", "content": waited}),
    ))
}

//! Listeners of the control API.

use std::net::SocketAddr;

use airside_base::{OnFailure, Supervisor};
use tokio::net::TcpListener;

use crate::{Access, State, router::router, socket::Socket};

/// Serves the owner of the data folder until `supervisor` stops.
pub fn serve_socket(socket: Socket, state: State, supervisor: &Supervisor) {
    let app = router(state, &Access::Owner);
    let stopping = supervisor.clone();
    supervisor.spawn("control socket", OnFailure::Stop, async move {
        let Socket { listener, file } = socket;
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(async move { stopping.stopping().await })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the control socket has failed");
        }
        drop(file);
    });
}

/// Serves callers with keys until `supervisor` stops.
pub fn serve_tcp(listener: TcpListener, state: State, access: &Access, supervisor: &Supervisor) {
    let app = router(state, access).into_make_service_with_connect_info::<SocketAddr>();
    let stopping = supervisor.clone();
    supervisor.spawn("control listener", OnFailure::Stop, async move {
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(async move { stopping.stopping().await })
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the control listener has failed");
        }
    });
}

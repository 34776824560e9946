//! Binds the address of the gateway.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use airside_base::{Fault, Kind};

use crate::failure::{Exit, Failure};

/// What to do when the port is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenTaken {
    /// Refuse: the user named it.
    Refuse,
    /// Take a free one and say so.
    TakeAnother,
}

/// Binds `address`.
pub(crate) fn bind(address: SocketAddr, when_taken: WhenTaken) -> Result<TcpListener, Failure> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match when_taken {
            WhenTaken::Refuse => Err(taken(address)),
            WhenTaken::TakeAnother => {
                let mut free = address;
                free.set_port(0);
                let listener = TcpListener::bind(free).map_err(|e| refused(free, &e))?;
                tracing::warn!(%address, "the port is taken, another one is used");
                Ok(listener)
            }
        },
        Err(error) => Err(refused(address, &error)),
    }
}

fn taken(address: SocketAddr) -> Failure {
    let fault = Fault::new(
        Kind::Conflict,
        "CLI-006",
        format!("the address {address} is taken"),
    );
    let hint = format!(
        "stop what uses it (ss -ltnp 'sport = :{}'), or choose another port",
        address.port()
    );
    Failure::new(Exit::InUse, fault.with_hint(hint))
}

fn refused(address: SocketAddr, error: &io::Error) -> Failure {
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-022",
        format!("cannot listen on {address}: {error}"),
    );
    let hint = "choose an address of this machine and a port above 1023";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

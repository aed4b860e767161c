//! P1 and P2 in different processes: the network transport, the key server and the command `smlp`. Needs the cargo
//! feature `cli`. Everything goes over loopback or between network namespaces of the tests' own.

mod access;
mod forked;
mod hostile;
mod hosts;
mod keys;
mod network_between;
mod page;
mod reload;
mod scene;
mod transport;

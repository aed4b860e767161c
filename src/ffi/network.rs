//! `smlp_network_options` and `smlp_transport_connect`: P2 on another machine. Cargo feature `net`;
//! SMLP_NET in the header.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::arguments::{Out, borrow, borrow_mut, free, slice, string};
use super::{Failure, Status, TransportHandle, guard};
use crate::transport::network::{Client, ClientOptions, Identity};

/// Whom to ask over the network, as whom, and for how long.
#[cfg(feature = "net")]
#[derive(Debug, Clone)]
pub struct NetworkOptionsHandle {
    addresses: Vec<String>,
    identity: Option<Identity>,
    server_name: Option<String>,
    deadline: Option<Duration>,
}

/// Options to ask the key servers at `addresses`: `host:port`; several of them, replicas with the
/// same keys, are separated by commas.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_new(
    addresses: *const c_char,
    out: *mut *mut NetworkOptionsHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let out = unsafe { Out::new(out, "out")? };
        // SAFETY: the contract.
        let addresses = unsafe { string(addresses, "addresses")? };
        out.object(NetworkOptionsHandle {
            addresses: addresses.split(',').map(|a| a.trim().to_owned()).collect(),
            identity: None,
            server_name: None,
            deadline: None,
        });
        Ok(())
    })
}

/// Who we are and whom we believe, in PEM: certificates of the authorities that the servers'
/// certificates come from; our certificate, with intermediate ones after it; its private key.
///
/// Errors: SMLP_MALFORMED.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_set_identity(
    options: *mut NetworkOptionsHandle,
    authorities: *const u8,
    authorities_len: usize,
    certificate: *const u8,
    certificate_len: usize,
    key: *const u8,
    key_len: usize,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        // SAFETY: the contract.
        let authorities = unsafe { slice(authorities, authorities_len, "authorities")? };
        // SAFETY: the contract.
        let certificate = unsafe { slice(certificate, certificate_len, "certificate")? };
        // SAFETY: the contract.
        let key = unsafe { slice(key, key_len, "key")? };
        options.identity = Some(Identity::from_pem(authorities, certificate, key)?);
        Ok(())
    })
}

/// As smlp_network_options_set_identity(), from three files.
///
/// Errors: SMLP_MALFORMED; SMLP_IO; SMLP_INSECURE for a key that others than its owner may read.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_load_identity(
    options: *mut NetworkOptionsHandle,
    authorities_path: *const c_char,
    certificate_path: *const c_char,
    key_path: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        // SAFETY: the contract.
        let authorities = unsafe { string(authorities_path, "authorities_path")? };
        // SAFETY: the contract.
        let certificate = unsafe { string(certificate_path, "certificate_path")? };
        // SAFETY: the contract.
        let key = unsafe { string(key_path, "key_path")? };
        options.identity = Some(Identity::load(
            Path::new(authorities),
            Path::new(certificate),
            Path::new(key),
        )?);
        Ok(())
    })
}

/// What the servers' certificates have to be for, if it is not the host of the address.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_set_server_name(
    options: *mut NetworkOptionsHandle,
    name: *const c_char,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        // SAFETY: the contract.
        options.server_name = Some(unsafe { string(name, "name")? }.to_owned());
        Ok(())
    })
}

/// For one exchange, with all its repetitions; ten minutes by default. It should bridge a restart
/// of the server.
///
/// Errors: SMLP_INVALID_ARGUMENT for 0.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_set_deadline(
    options: *mut NetworkOptionsHandle,
    milliseconds: u64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let options = unsafe { borrow_mut(options, "options")? };
        // A clock does not reach further than this; neither does patience.
        let milliseconds = milliseconds.min(365 * 24 * 3600 * 1000);
        if milliseconds == 0 {
            return Err(Failure::invalid("a deadline of 0 milliseconds"));
        }
        options.deadline = Some(Duration::from_millis(milliseconds));
        Ok(())
    })
}

/// Frees the options.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_network_options_free(options: *mut NetworkOptionsHandle) {
    // SAFETY: the contract.
    unsafe { free(options) }
}

/// P2 on another machine: gRPC over HTTP/2 with mutual TLS. At least one of the servers has to
/// answer now. Later on, an exchange whose answer does not come is repeated, at the same server or
/// another one, until the deadline; P1 notices that by the time only.
///
/// A thread of the library does the work, so in a process that is forked after this every exchange
/// fails with SMLP_TRANSPORT at once: connect anew there.
///
/// Errors: SMLP_INVALID_ARGUMENT for addresses that are none, or without an identity;
/// SMLP_TRANSPORT when nobody answers until the deadline; SMLP_REFUSED when the servers do not
/// accept us, or we not them.
#[cfg(feature = "net")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_transport_connect(
    options: *const NetworkOptionsHandle,
    out: *mut *mut TransportHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (options, out) = unsafe { (borrow(options, "options")?, Out::new(out, "out")?) };
        let identity = options.identity.clone().ok_or_else(|| {
            Failure::invalid("no identity; set one with smlp_network_options_load_identity()")
        })?;
        let mut client = ClientOptions::new(options.addresses.clone(), identity);
        if let Some(name) = &options.server_name {
            client = client.server_name(name.clone());
        }
        if let Some(deadline) = options.deadline {
            client = client.deadline(deadline);
        }
        let client = Client::connect(client)?;
        out.object(TransportHandle(Arc::new(client)));
        Ok(())
    })
}

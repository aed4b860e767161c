//! `smlp_mlp`: prediction, training, evaluation.

use std::ffi::c_void;
use std::ops::ControlFlow;

use super::arguments::{Out, borrow, borrow_optional};
use super::mlp::AnyMlp;
use super::{
    Failure, FitOptionsHandle, MlpHandle, PrivateKeyHandle, SessionHandle, Status, TensorHandle,
    guard,
};
use crate::mlp::{accuracy, argmax};

/// Called after every step with the steps done and to do in this call, on the thread that trains.
/// It may not use the network. No exception may leave it.
///
/// Returns: 0 to go on; any other value cancels. Finished steps are kept.
pub type ProgressFunction =
    Option<unsafe extern "C" fn(userdata: *mut c_void, done: u64, total: u64) -> i32>;

/// An encrypted network in a clear session, or the other way round.
fn other_kind() -> Failure {
    Failure::invalid(
        "an encrypted network needs an encrypted session, and a clear one a clear session",
    )
}

/// The outputs of the last layer, samples × outputs, encrypted if the network is.
///
/// Args: session: of the network's kind and key. x: samples × inputs, of the network's kind and
/// scale.
/// Errors: SMLP_SHAPE, SMLP_SCALE, SMLP_OUT_OF_RANGE, SMLP_BOUND for inputs that do not fit the
/// network; those of smlp_session_multiply().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_predict(
    mlp: *mut MlpHandle,
    session: *const SessionHandle,
    x: *const TensorHandle,
    out: *mut *mut TensorHandle,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, session) = unsafe { (borrow(mlp, "mlp")?, borrow(session, "session")?) };
        // SAFETY: the contract.
        let (x, out) = unsafe { (borrow(x, "x")?, Out::new(out, "out")?) };
        out.object(match (&*mlp.read()?, session) {
            (AnyMlp::Encrypted(mlp), SessionHandle::Encrypted(session)) => {
                mlp.predict(session, x.encrypted("x")?)?.into()
            }
            (AnyMlp::Clear(mlp), SessionHandle::Clear(session)) => {
                mlp.predict(session, x.clear("x")?)?.into()
            }
            _ => return Err(other_kind()),
        });
        Ok(())
    })
}

/// One step of gradient descent on the mean over a batch of half the squared error.
///
/// Args: x: samples × inputs; y: samples × outputs; both of the network's kind and scale.
/// learning_rate: in (0, 2 · samples].
/// Errors: as smlp_mlp_predict(); in the clear SMLP_OUT_OF_RANGE for the first value that breaks a
/// declared bound. The network stays as it was then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_train_step(
    mlp: *mut MlpHandle,
    session: *const SessionHandle,
    x: *const TensorHandle,
    y: *const TensorHandle,
    learning_rate: f64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, session) = unsafe { (borrow(mlp, "mlp")?, borrow(session, "session")?) };
        // SAFETY: the contract.
        let (x, y) = unsafe { (borrow(x, "x")?, borrow(y, "y")?) };
        match (&mut *mlp.write()?, session) {
            (AnyMlp::Encrypted(mlp), SessionHandle::Encrypted(session)) => {
                mlp.train_step(session, x.encrypted("x")?, y.encrypted("y")?, learning_rate)?
            }
            (AnyMlp::Clear(mlp), SessionHandle::Clear(session)) => {
                mlp.train_step(session, x.clear("x")?, y.clear("y")?, learning_rate)?
            }
            _ => return Err(other_kind()),
        }
        Ok(())
    })
}

/// Trains for many steps.
///
/// Args: x: samples × inputs; y: samples × outputs; both of the network's kind and scale.
/// progress_or_null: called after every step; see smlp_progress_fn. userdata: handed to it; may be
/// NULL.
/// Errors: SMLP_CANCELLED if it asked to stop before the end; those of smlp_mlp_train_step();
/// SMLP_IO if a checkpoint cannot be written.
/// Steps that were finished are kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_fit(
    mlp: *mut MlpHandle,
    session: *const SessionHandle,
    x: *const TensorHandle,
    y: *const TensorHandle,
    options: *const FitOptionsHandle,
    progress_or_null: ProgressFunction,
    userdata: *mut c_void,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, session) = unsafe { (borrow(mlp, "mlp")?, borrow(session, "session")?) };
        // SAFETY: the contract.
        let (x, y) = unsafe { (borrow(x, "x")?, borrow(y, "y")?) };
        // SAFETY: the contract.
        let options = &unsafe { borrow(options, "options")? }.0;
        let report = |done, total| {
            // SAFETY: the caller promised that the function takes these arguments.
            match progress_or_null.map_or(0, |call| unsafe { call(userdata, done, total) }) {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        };
        match (&mut *mlp.write()?, session) {
            (AnyMlp::Encrypted(mlp), SessionHandle::Encrypted(session)) => mlp.fit(
                session,
                x.encrypted("x")?,
                y.encrypted("y")?,
                options,
                &mut |_, done, total| report(done, total),
            )?,
            (AnyMlp::Clear(mlp), SessionHandle::Clear(session)) => mlp.fit(
                session,
                x.clear("x")?,
                y.clear("y")?,
                options,
                &mut |_, done, total| report(done, total),
            )?,
            _ => return Err(other_kind()),
        }
        Ok(())
    })
}

/// The share of samples whose largest output is where their label is, in [0, 1].
///
/// Args: x: samples × inputs, of the network's kind. labels: samples × outputs, clear, one-hot.
/// key_or_null: decrypts the predictions of an encrypted network; NULL for a clear one.
/// accuracy: gets the share.
/// Errors: as smlp_mlp_predict(); SMLP_NULL_POINTER if the network is encrypted and there is no
/// key; SMLP_KEY_MISMATCH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smlp_mlp_evaluate(
    mlp: *mut MlpHandle,
    session: *const SessionHandle,
    x: *const TensorHandle,
    labels: *const TensorHandle,
    key_or_null: *const PrivateKeyHandle,
    accuracy: *mut f64,
) -> Status {
    guard(|| {
        // SAFETY: the contract.
        let (mlp, session) = unsafe { (borrow(mlp, "mlp")?, borrow(session, "session")?) };
        // SAFETY: the contract.
        let (x, labels) = unsafe { (borrow(x, "x")?, borrow(labels, "labels")?) };
        // SAFETY: the contract.
        let (key, out) = unsafe {
            (
                borrow_optional(key_or_null),
                Out::new(accuracy, "accuracy")?,
            )
        };
        let labels = argmax(labels.clear("labels")?)?;
        let outputs = match (&*mlp.read()?, session) {
            (AnyMlp::Encrypted(mlp), SessionHandle::Encrypted(session)) => {
                let key = key.ok_or_else(|| Failure::null("key_or_null"))?;
                crate::paillier::Encrypt::public(&key.0).check_takes(mlp.key().id())?;
                mlp.predict(session, x.encrypted("x")?)?.decrypt(&key.0)?
            }
            (AnyMlp::Clear(mlp), SessionHandle::Clear(session)) => {
                mlp.predict(session, x.clear("x")?)?
            }
            _ => return Err(other_kind()),
        };
        out.set(self::accuracy(&outputs, &labels)?);
        Ok(())
    })
}

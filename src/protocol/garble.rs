#![allow(dead_code, unused)]
use super::wide::Wide; use crate::error::Result; use zeroize::Zeroizing;
pub enum Source<'a>{Sign, Bit{labels:&'a [u128], flips:&'a [bool]}}
pub struct Garbled{pub message:Vec<u8>, pub flips:Zeroizing<Vec<bool>>}
pub struct Evaluated{pub values:Zeroizing<Vec<Wide>>, pub bits:Zeroizing<Vec<bool>>}
pub fn garble(d:u128,n:&[u8;16],l:&[u128],s:Source<'_>,k:&[Wide],r:&[Wide],w:u32,mb:u32)->Garbled{todo!()}
pub fn evaluate(m:&[u8],n:&[u8;16],l:&[u128],b:Option<&[u128]>,w:u32,mb:u32)->Result<Evaluated>{todo!()}
pub fn message_len(n:usize,w:u32,mb:u32,by_bit:bool)->usize{todo!()}

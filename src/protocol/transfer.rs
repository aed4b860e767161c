#![allow(dead_code, unused)]
use crate::error::Result; use crate::random::Random; use zeroize::Zeroizing;
pub struct Setup; pub struct Sender; pub struct Seeds;
impl Setup { pub fn new(r:&Random)->Result<(Self,Vec<u8>)>{todo!()} pub fn finish(self, reply:&[u8])->Result<Sender>{todo!()} }
pub fn answer_setup(p:&[u8], r:&Random)->Result<(Vec<u8>,Seeds)>{todo!()}
impl Seeds { pub fn to_bytes(&self)->Zeroizing<Vec<u8>>{todo!()} pub fn from_bytes(b:&[u8])->Result<Self>{todo!()} pub fn choose(&self, n:&[u8;16], c:&[bool])->Vec<u8>{todo!()} pub fn labels(&self,n:&[u8;16],c:usize)->Zeroizing<Vec<u128>>{todo!()} }
impl Sender { pub fn delta(&self)->u128{todo!()} pub fn zero_labels(&self,n:&[u8;16],c:usize,m:&[u8])->Result<Zeroizing<Vec<u128>>>{todo!()} }

//! Graphics devices: plans lowered to kernel text, run through either interface of [`spinloom_gpu`].

pub mod fft;

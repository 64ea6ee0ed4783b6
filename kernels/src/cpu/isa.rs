//! The instruction sets that inner loops are compiled for; the widest one present is chosen when the program runs.

use super::vector::Vector;

/// The registers that hold numbers of a type.
pub trait Vectors: Sized {
    /// With [`Isa::Avx2`].
    #[cfg(target_arch = "x86_64")]
    type Avx2: Vector<Real = Self>;
    /// With [`Isa::Avx512`].
    #[cfg(target_arch = "x86_64")]
    type Avx512: Vector<Real = Self>;
}

impl Vectors for f32 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512;
}

impl Vectors for f64 {
    #[cfg(target_arch = "x86_64")]
    type Avx2 = std::arch::x86_64::__m256d;
    #[cfg(target_arch = "x86_64")]
    type Avx512 = std::arch::x86_64::__m512d;
}

/// Writes, for a function over the vectors `V` of a number type `T`, one that returns its copy for an instruction set. Calling the copy is safe where
/// [`Isa::available`] lists the set. `<V, T, L: Law; const AXES>` adds a type, a constant, or both.
macro_rules! with_vectors {
    ($(#[$doc:meta])* $vis:vis fn $name:ident<V, T $(, $more:ident: $bound:path)? $(; const $number:ident)?>($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$doc])*
        $vis fn $name<T: $crate::real::Real $(, $more: $bound)? $(, const $number: usize)?>(isa: $crate::cpu::isa::Isa) -> unsafe fn($($type),*) $(-> $result)? {
            use $crate::cpu::isa::Isa;
            use $crate::cpu::vector::{Portable, Vector};
            use $crate::real::Real;
            #[inline(always)]
            unsafe fn body<T: Real, V: Vector<Real = T> $(, $more: $bound)? $(, const $number: usize)?>($($arg: $type),*) $(-> $result)? $body
            unsafe fn baseline<T: Real $(, $more: $bound)? $(, const $number: usize)?>($($arg: $type),*) $(-> $result)? {
                // SAFETY: of this and the others: by the caller's promise.
                unsafe { body::<T, Portable<T> $(, $more)? $(, $number)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2<T: Real $(, $more: $bound)? $(, const $number: usize)?>($($arg: $type),*) $(-> $result)? {
                unsafe { body::<T, T::Avx2 $(, $more)? $(, $number)?>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            unsafe fn avx512<T: Real $(, $more: $bound)? $(, const $number: usize)?>($($arg: $type),*) $(-> $result)? {
                unsafe { body::<T, T::Avx512 $(, $more)? $(, $number)?>($($arg),*) }
            }
            match isa {
                Isa::Baseline => baseline::<T $(, $more)? $(, $number)?>,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::<T $(, $more)? $(, $number)?>,
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::<T $(, $more)? $(, $number)?>,
            }
        }
    };
}
pub(crate) use with_vectors;

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// What every machine of this architecture has (SSE2, NEON).
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, VL, DQ, BW.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Isa {
    /// Those this machine has, narrowest first.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "other architectures have the baseline only")]
        let mut list = vec![Isa::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                list.push(Isa::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512bw")
                {
                    list.push(Isa::Avx512);
                }
            }
        }
        list
    }

    /// Whether its registers hold eight complex numbers and their sums.
    pub fn many_registers(self) -> bool {
        match self {
            Isa::Baseline => super::vector::Portable::<f32>::MANY_REGISTERS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => <f32 as Vectors>::Avx2::MANY_REGISTERS,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => <f32 as Vectors>::Avx512::MANY_REGISTERS,
        }
    }

    /// The widest.
    pub fn widest() -> Isa {
        *Self::available().last().expect("the baseline is always there")
    }

    /// Its name in logs and records.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
        }
    }
}

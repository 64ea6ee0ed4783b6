//! The instruction sets that inner loops are compiled for; the widest one present is chosen when the program runs.

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

//! Vulkan, compute only, on any vendor's device.

use crate::{Backend, Element, Found, GpuError, Kernel, Launch, Limits, Memory, Precision, Program, Recording};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use vulkano::buffer::{Buffer, BufferCreateInfo, BufferUsage, Subbuffer};
use vulkano::command_buffer::allocator::{StandardCommandBufferAllocator, StandardCommandBufferAllocatorCreateInfo};
use vulkano::command_buffer::{
    BufferCopy, CommandBuffer, CommandBufferBeginInfo, CommandBufferLevel, CommandBufferUsage, CopyBufferInfo, RecordingCommandBuffer,
};
use vulkano::descriptor_set::allocator::StandardDescriptorSetAllocator;
use vulkano::descriptor_set::layout::{DescriptorSetLayout, DescriptorSetLayoutBinding, DescriptorSetLayoutCreateInfo, DescriptorType};
use vulkano::descriptor_set::{DescriptorSet, WriteDescriptorSet};
use vulkano::device::physical::{PhysicalDevice, PhysicalDeviceType};
use vulkano::device::{Device, DeviceCreateInfo, DeviceExtensions, DeviceFeatures, Queue, QueueCreateInfo, QueueFlags};
use vulkano::instance::{Instance, InstanceCreateFlags, InstanceCreateInfo};
use vulkano::memory::allocator::{AllocationCreateInfo, MemoryTypeFilter, StandardMemoryAllocator};
use vulkano::pipeline::compute::ComputePipelineCreateInfo;
use vulkano::pipeline::layout::PipelineLayoutCreateInfo;
use vulkano::pipeline::{ComputePipeline, PipelineBindPoint, PipelineLayout, PipelineShaderStageCreateInfo};
use vulkano::shader::{ShaderModule, ShaderModuleCreateInfo, ShaderStages};
use vulkano::sync::{AccessFlags, DependencyInfo, MemoryBarrier, PipelineStages};
use vulkano::{VulkanLibrary, VulkanObject};

/// Bytes that travel at once between host and device.
const STAGING: usize = 16 << 20;

/// A Vulkan device.
pub struct Vulkan {
    found: Found,
    device: Arc<Device>,
    queue: Arc<Queue>,
    memory: Arc<StandardMemoryAllocator>,
    commands: Arc<StandardCommandBufferAllocator>,
    descriptors: Arc<StandardDescriptorSetAllocator>,
    staging: Subbuffer<[u8]>,
    buffers: Vec<Option<Subbuffer<[u8]>>>,
    programs: Vec<(Arc<ComputePipeline>, Arc<PipelineLayout>)>,
    known: HashMap<Kernel, Program>,
    /// Descriptor sets live as long as what was recorded with them.
    recordings: Vec<(CommandBuffer, Vec<Arc<DescriptorSet>>)>,
}

fn instance() -> Result<Arc<Instance>, GpuError> {
    let library = VulkanLibrary::new().map_err(|e| {
        GpuError::Missing(format!(
            "no Vulkan loader ({e}); install libvulkan1 and your device's driver (mesa-vulkan-drivers, or the vendor's)"
        ))
    })?;
    let info = InstanceCreateInfo { flags: InstanceCreateFlags::ENUMERATE_PORTABILITY, ..Default::default() };
    Instance::new(library, info).map_err(|e| GpuError::Missing(format!("the Vulkan loader makes no instance: {e}")))
}

fn physical() -> Result<Vec<Arc<PhysicalDevice>>, GpuError> {
    let rank = |p: &Arc<PhysicalDevice>| match p.properties().device_type {
        PhysicalDeviceType::DiscreteGpu => 0,
        PhysicalDeviceType::IntegratedGpu => 1,
        PhysicalDeviceType::VirtualGpu => 2,
        PhysicalDeviceType::Cpu => 4,
        _ => 3,
    };
    let mut all: Vec<_> = instance()?
        .enumerate_physical_devices()
        .map_err(|e| GpuError::Missing(format!("Vulkan lists no devices: {e}")))?
        .filter(|p| family(p).is_some())
        .collect();
    all.sort_by_key(rank);
    Ok(all)
}

/// A queue family that computes; one that does nothing else if there is one.
fn family(p: &PhysicalDevice) -> Option<u32> {
    let families = p.queue_family_properties();
    let find = |f: &dyn Fn(QueueFlags) -> bool| families.iter().position(|q| f(q.queue_flags)).map(|i| i as u32);
    find(&|q| q.contains(QueueFlags::COMPUTE) && !q.contains(QueueFlags::GRAPHICS)).or_else(|| find(&|q| q.contains(QueueFlags::COMPUTE)))
}

fn describe(index: usize, p: &PhysicalDevice) -> Found {
    let (properties, features) = (p.properties(), p.supported_features());
    let memory = p.memory_properties().memory_heaps.iter().map(|h| h.size).max().unwrap_or(0);
    Found {
        index,
        name: format!("vulkan:{index}"),
        model: properties.device_name.clone(),
        memory,
        driver: format!(
            "{} {}, Vulkan {}",
            properties.driver_name.as_deref().unwrap_or("driver"),
            properties.driver_info.as_deref().unwrap_or(""),
            properties.api_version
        ),
        limits: Limits {
            shared: properties.max_compute_shared_memory_size as usize,
            group: properties.max_compute_work_group_invocations.min(properties.max_compute_work_group_size[0]),
            groups: properties.max_compute_work_group_count,
            buffer: properties.max_storage_buffer_range as usize,
            double: features.shader_float64,
        },
        software: properties.device_type == PhysicalDeviceType::Cpu,
    }
}

/// The usable devices, graphics cards first.
///
/// # Errors
/// [`GpuError::Missing`] without a loader or an instance.
pub fn list() -> Result<Vec<Found>, GpuError> {
    Ok(physical()?.iter().enumerate().map(|(i, p)| describe(i, p)).collect())
}

fn lost(e: impl std::fmt::Display) -> GpuError {
    GpuError::Lost(e.to_string())
}

impl Vulkan {
    /// Opens the device of that number in [`list`].
    ///
    /// # Errors
    /// [`GpuError::Missing`] if there is none.
    pub fn open(index: usize) -> Result<Self, GpuError> {
        let all = physical()?;
        let Some(p) = all.get(index) else {
            return Err(GpuError::Missing(format!("there is no Vulkan device {index}; there are {}", all.len())));
        };
        let found = describe(index, p);
        let family = family(p).expect("listed devices compute");
        let info = DeviceCreateInfo {
            queue_create_infos: vec![QueueCreateInfo { queue_family_index: family, ..Default::default() }],
            enabled_features: DeviceFeatures { shader_float64: found.limits.double, ..DeviceFeatures::empty() },
            enabled_extensions: DeviceExtensions {
                khr_portability_subset: p.supported_extensions().khr_portability_subset,
                ..DeviceExtensions::empty()
            },
            ..Default::default()
        };
        let (device, mut queues) =
            Device::new(p.clone(), info).map_err(|e| GpuError::Missing(format!("{} does not open: {e}", found.model)))?;
        let queue = queues.next().expect("one queue was asked for");
        let memory = Arc::new(StandardMemoryAllocator::new_default(device.clone()));
        let commands = Arc::new(StandardCommandBufferAllocator::new(device.clone(), StandardCommandBufferAllocatorCreateInfo::default()));
        let descriptors = Arc::new(StandardDescriptorSetAllocator::new(device.clone(), Default::default()));
        let staging = Buffer::new_slice::<u8>(
            memory.clone(),
            BufferCreateInfo { usage: BufferUsage::TRANSFER_SRC | BufferUsage::TRANSFER_DST, ..Default::default() },
            AllocationCreateInfo {
                memory_type_filter: MemoryTypeFilter::PREFER_HOST | MemoryTypeFilter::HOST_RANDOM_ACCESS,
                ..Default::default()
            },
            STAGING as u64,
        )
        .map_err(|e| GpuError::OutOfMemory { bytes: STAGING, why: e.to_string() })?;
        Ok(Self {
            found,
            device,
            queue,
            memory,
            commands,
            descriptors,
            staging,
            buffers: Vec::new(),
            programs: Vec::new(),
            known: HashMap::new(),
            recordings: Vec::new(),
        })
    }

    fn buffer(&self, memory: Memory) -> &Subbuffer<[u8]> {
        self.buffers[memory.0].as_ref().expect("the memory was given back")
    }

    /// Records commands, with everything before them finished first and everything in them visible afterwards.
    fn commands(&self, record: impl FnOnce(&mut RecordingCommandBuffer) -> Result<(), GpuError>) -> Result<CommandBuffer, GpuError> {
        let mut buffer = RecordingCommandBuffer::new(
            self.commands.clone(),
            self.queue.queue_family_index(),
            CommandBufferLevel::Primary,
            CommandBufferBeginInfo { usage: CommandBufferUsage::SimultaneousUse, ..Default::default() },
        )
        .map_err(lost)?;
        barrier(&mut buffer)?;
        record(&mut buffer)?;
        barrier(&mut buffer)?;
        // SAFETY: what is recorded keeps its resources alive in `self`.
        unsafe { buffer.end() }.map_err(lost)
    }

    /// Runs a command buffer so many times, one after another, and waits. `vulkano` submits only what its own tracking has seen recorded; these
    /// carry their own barriers.
    fn run(&self, recorded: &CommandBuffer, times: usize) -> Result<(), GpuError> {
        let buffers = vec![recorded.handle(); times];
        let info = ash::vk::SubmitInfo::default().command_buffers(&buffers);
        self.queue.with(|mut queue| {
            let submit = self.device.fns().v1_0.queue_submit;
            // SAFETY: all handles live, nothing else uses the queue, and we wait until it is idle before anything is touched.
            unsafe { submit(self.queue.handle(), 1, &info, ash::vk::Fence::null()) }.result().map_err(lost)?;
            queue.wait_idle().map_err(lost)
        })
    }

    fn copy(&self, from: Subbuffer<[u8]>, from_offset: usize, to: Subbuffer<[u8]>, to_offset: usize, len: usize) -> Result<(), GpuError> {
        let mut info = CopyBufferInfo::buffers(from, to);
        info.regions[0] =
            BufferCopy { src_offset: from_offset as u64, dst_offset: to_offset as u64, size: len as u64, ..Default::default() };
        // SAFETY: the ranges lie within the buffers, and the barriers order the copy.
        let recorded = self.commands(|c| unsafe { c.copy_buffer(&info) }.map(|_| ()).map_err(lost))?;
        self.run(&recorded, 1)
    }
}

fn barrier(buffer: &mut RecordingCommandBuffer) -> Result<(), GpuError> {
    let stages = PipelineStages::COMPUTE_SHADER | PipelineStages::ALL_TRANSFER | PipelineStages::HOST;
    let access = AccessFlags::SHADER_READ | AccessFlags::SHADER_WRITE | AccessFlags::TRANSFER_READ | AccessFlags::TRANSFER_WRITE;
    let host = AccessFlags::HOST_READ | AccessFlags::HOST_WRITE;
    let info = DependencyInfo {
        memory_barriers: [MemoryBarrier {
            src_stages: stages,
            src_access: access | host,
            dst_stages: stages,
            dst_access: access | host,
            ..Default::default()
        }]
        .into_iter()
        .collect(),
        ..Default::default()
    };
    // SAFETY: a barrier on all memory asks nothing of its caller.
    unsafe { buffer.pipeline_barrier(&info) }.map(|_| ()).map_err(lost)
}

/// Makes every barrier one of the whole group. As the front end reads GLSL's `barrier()`, it would hold subgroups only.
fn group_barriers(block: &mut naga::Block) {
    use naga::Statement as S;
    for (statement, _) in block.span_iter_mut() {
        match statement {
            S::ControlBarrier(barrier) => *barrier = naga::Barrier::WORK_GROUP,
            S::Block(b) => group_barriers(b),
            S::If { accept, reject, .. } => [accept, reject].into_iter().for_each(group_barriers),
            S::Switch { cases, .. } => cases.iter_mut().for_each(|c| group_barriers(&mut c.body)),
            S::Loop { body, continuing, .. } => [body, continuing].into_iter().for_each(group_barriers),
            _ => {}
        }
    }
}

/// Text to SPIR-V.
fn spirv(kernel: &Kernel) -> Result<Vec<u32>, GpuError> {
    let fail = |why: String| GpuError::Compile { kernel: kernel.name.clone(), why };
    let text = kernel.glsl();
    // The compiler panics on some invalid texts; that must not take the program down.
    let words = std::panic::catch_unwind(|| {
        let mut module = naga::front::glsl::Frontend::default()
            .parse(&naga::front::glsl::Options::from(naga::ShaderStage::Compute), &text)
            .map_err(|e| e.emit_to_string(&text))?;
        let functions = module.functions.iter_mut().map(|(_, f)| f).chain(module.entry_points.iter_mut().map(|e| &mut e.function));
        functions.for_each(|f| group_barriers(&mut f.body));
        let info = naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::FLOAT64)
            .validate(&module)
            .map_err(|e| e.emit_to_string(&text))?;
        let options = naga::back::spv::Options {
            lang_version: (1, 3),
            flags: naga::back::spv::WriterFlags::empty(),
            // Shared arrays are written before they are read.
            zero_initialize_workgroup_memory: naga::back::spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: false,
            emit_int_div_checks: false,
            ..Default::default()
        };
        naga::back::spv::write_vec(&module, &info, &options, None).map_err(|e| e.to_string())
    });
    words.unwrap_or_else(|_| Err("the compiler gave up on it".into())).map_err(fail)
}

/// Compiles a kernel without a device.
///
/// # Errors
/// [`GpuError::Compile`].
pub fn check(kernel: &Kernel) -> Result<(), GpuError> {
    spirv(kernel).map(|_| ())
}

impl Backend for Vulkan {
    fn found(&self) -> &Found {
        &self.found
    }

    fn allocate(&mut self, bytes: usize) -> Result<Memory, GpuError> {
        // Whole words, and never nothing.
        let bytes = bytes.max(16).next_multiple_of(16);
        let full = |why: String| GpuError::OutOfMemory { bytes, why };
        if bytes > self.found.limits.buffer {
            return Err(full(format!("this device's largest buffer has {} bytes", self.found.limits.buffer)));
        }
        let buffer = Buffer::new_slice::<u8>(
            self.memory.clone(),
            BufferCreateInfo {
                usage: BufferUsage::STORAGE_BUFFER | BufferUsage::TRANSFER_SRC | BufferUsage::TRANSFER_DST,
                ..Default::default()
            },
            AllocationCreateInfo { memory_type_filter: MemoryTypeFilter::PREFER_DEVICE, ..Default::default() },
            bytes as u64,
        )
        .map_err(|e| full(e.to_string()))?;
        let words: Subbuffer<[u32]> = buffer.clone().reinterpret();
        // SAFETY: the barriers order the filling.
        let recorded = self.commands(|c| unsafe { c.fill_buffer(&words, 0) }.map(|_| ()).map_err(lost))?;
        self.run(&recorded, 1)?;
        self.buffers.push(Some(buffer));
        Ok(Memory(self.buffers.len() - 1))
    }

    fn free(&mut self, memory: Memory) {
        self.buffers[memory.0] = None;
    }

    fn write(&mut self, memory: Memory, offset: usize, bytes: &[u8]) -> Result<(), GpuError> {
        for (i, part) in bytes.chunks(STAGING).enumerate() {
            self.staging.write().map_err(lost)?[..part.len()].copy_from_slice(part);
            self.copy(self.staging.clone(), 0, self.buffer(memory).clone(), offset + i * STAGING, part.len())?;
        }
        Ok(())
    }

    fn read(&self, memory: Memory, offset: usize, bytes: &mut [u8]) -> Result<(), GpuError> {
        for (i, part) in bytes.chunks_mut(STAGING).enumerate() {
            self.copy(self.buffer(memory).clone(), offset + i * STAGING, self.staging.clone(), 0, part.len())?;
            part.copy_from_slice(&self.staging.read().map_err(lost)?[..part.len()]);
        }
        Ok(())
    }

    fn compile(&mut self, kernel: &Kernel) -> Result<Program, GpuError> {
        if let Some(program) = self.known.get(kernel) {
            return Ok(*program);
        }
        let fail = |why: String| GpuError::Compile { kernel: kernel.name.clone(), why };
        let limits = self.found.limits;
        let shared = kernel.shared_bytes();
        if shared > limits.shared || kernel.group > limits.group {
            return Err(fail(format!(
                "it needs {shared} bytes of shared memory and {} items a group; this device has {} and {}",
                kernel.group, limits.shared, limits.group
            )));
        }
        if kernel.precision == Precision::Double && !limits.double && kernel.bindings.iter().any(|b| b.element == Element::Real) {
            return Err(fail("this device does not compute in double precision".into()));
        }
        let words = spirv(kernel)?;
        // SAFETY: the words are a valid module, as the validator said.
        let module =
            unsafe { ShaderModule::new(self.device.clone(), ShaderModuleCreateInfo::new(&words)) }.map_err(|e| fail(e.to_string()))?;
        let entry = module.entry_point("main").ok_or_else(|| fail("it has no entry".into()))?;
        let stage = PipelineShaderStageCreateInfo::new(entry);
        let bindings: BTreeMap<u32, DescriptorSetLayoutBinding> = (0..kernel.bindings.len() as u32)
            .map(|i| {
                let mut binding = DescriptorSetLayoutBinding::descriptor_type(DescriptorType::StorageBuffer);
                binding.stages = ShaderStages::COMPUTE;
                (i, binding)
            })
            .collect();
        let set = DescriptorSetLayout::new(self.device.clone(), DescriptorSetLayoutCreateInfo { bindings, ..Default::default() })
            .map_err(|e| fail(e.to_string()))?;
        let layout = PipelineLayout::new(self.device.clone(), PipelineLayoutCreateInfo { set_layouts: vec![set], ..Default::default() })
            .map_err(|e| fail(e.to_string()))?;
        let pipeline = ComputePipeline::new(self.device.clone(), None, ComputePipelineCreateInfo::stage_layout(stage, layout.clone()))
            .map_err(|e| fail(e.to_string()))?;
        self.programs.push((pipeline, layout));
        let program = Program(self.programs.len() - 1);
        self.known.insert(kernel.clone(), program);
        Ok(program)
    }

    fn record(&mut self, launches: &[Launch]) -> Result<Recording, GpuError> {
        let mut sets = Vec::new();
        for launch in launches {
            let (_, layout) = &self.programs[launch.program.0];
            let writes = launch.memories.iter().enumerate().map(|(i, m)| WriteDescriptorSet::buffer(i as u32, self.buffer(*m).clone()));
            let set = DescriptorSet::new(self.descriptors.clone(), layout.set_layouts()[0].clone(), writes, []).map_err(lost)?;
            sets.push(set);
        }
        let recorded = self.commands(|c| {
            for (i, (launch, set)) in launches.iter().zip(&sets).enumerate() {
                if i > 0 {
                    barrier(c)?;
                }
                let (pipeline, layout) = &self.programs[launch.program.0];
                // SAFETY: pipelines, sets and buffers are kept as long as the recording.
                unsafe {
                    c.bind_pipeline_compute(pipeline).map_err(lost)?;
                    c.bind_descriptor_sets(PipelineBindPoint::Compute, layout, 0, &[set.as_raw()], &[]).map_err(lost)?;
                    c.dispatch(launch.groups).map_err(lost)?;
                }
            }
            Ok(())
        })?;
        self.recordings.push((recorded, sets));
        Ok(Recording(self.recordings.len() - 1))
    }

    fn replay(&mut self, recording: Recording, times: usize) -> Result<(), GpuError> {
        self.run(&self.recordings[recording.0].0, times)
    }

    fn forget(&mut self) {
        self.recordings.clear();
    }
}

impl Drop for Vulkan {
    fn drop(&mut self) {
        // Nothing may be in flight when buffers go.
        let _ = self.queue.with(|mut queue| queue.wait_idle());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Binding;

    fn kernel(precision: Precision) -> Kernel {
        Kernel {
            name: "double all".into(),
            body: "FN VEC twice(VEC v) { return REAL(2.0f) * v; }\nKERNEL_MAIN {\n    int i = int(GID.x);\n    if (i < 100) { VEC v = twice(VEC(a[i], b[i], REAL(0.0f))); b[i] = v.x + v.y; }\n}\n".into(),
            bindings: vec![
                Binding { name: "a", element: Element::Real, writable: false },
                Binding { name: "b", element: Element::Real, writable: true },
            ],
            shared: vec![],
            group: 64,
            precision,
        }
    }

    #[test]
    fn a_kernel_runs_again_and_again() {
        let Ok(mut device) = Vulkan::open(0) else {
            eprintln!("SKIPPED: no Vulkan device here");
            return;
        };
        println!("{:?}", device.found());
        let (a, b) = (device.allocate(400).unwrap(), device.allocate(400).unwrap());
        let bytes: Vec<u8> = (0..100).flat_map(|i| (i as f32).to_le_bytes()).collect();
        device.write(a, 0, &bytes).unwrap();
        let program = device.compile(&kernel(Precision::Single)).unwrap();
        assert_eq!(device.compile(&kernel(Precision::Single)).unwrap(), program);
        let launch = Launch { program, memories: vec![a, b], groups: [2, 1, 1] };
        let recording = device.record(&[launch.clone(), launch]).unwrap();
        device.replay(recording, 2).unwrap();
        let mut out = vec![0u8; 400];
        device.read(b, 0, &mut out).unwrap();
        // b ← 2 (a + b), four times: 2, 6, 14, 30 times a.
        let values: Vec<f32> = out.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        assert_eq!((values[0], values[1], values[99]), (0.0, 30.0, 30.0 * 99.0));
        let e =
            device.compile(&Kernel { body: "KERNEL_MAIN { b[0] = lost; }".into(), ..kernel(Precision::Single) }).unwrap_err().to_string();
        assert!(e.contains("double all") && e.contains("lost"), "{e}");
    }
}

// reader FILE: what XRT's own classes and C calls read in an xclbin, one fact a line, for tests/unit/test_xclbin.c.
#include <cstdio>
#include <exception>

#include <experimental/xrt_xclbin.h>
#include <xclbin.h>

static void print_memories(const xrt::xclbin &x) {
    for (const auto &m : x.get_mems())
        std::printf("mem %d tag %s type %d used %d base 0x%llx kib %llu\n", m.get_index(), m.get_tag().c_str(),
                    static_cast<int>(m.get_type()), m.get_used(), (unsigned long long)m.get_base_address(),
                    (unsigned long long)m.get_size_kb());
}

static void print_argument(const char *unit, const xrt::xclbin::arg &a) {
    std::printf("arg %s %zu name %s port %s size %llu offset 0x%llx type %s mems", unit, a.get_index(),
                a.get_name().c_str(), a.get_port().c_str(), (unsigned long long)a.get_size(),
                (unsigned long long)a.get_offset(), a.get_host_type().c_str());
    uint64_t seen[4] = {0}; // in the order of their numbers, as XRT keeps them in that of their handles
    for (const auto &m : a.get_mems()) seen[m.get_index() / 64] |= 1ull << m.get_index() % 64;
    for (int i = 0; i < 256; i++)
        if (seen[i / 64] >> i % 64 & 1) std::printf(" %d", i);
    std::printf("\n");
}

static void print_units(const xrt::xclbin &x) {
    for (const auto &k : x.get_kernels()) {
        std::printf("kernel %s args %zu units %zu\n", k.get_name().c_str(), k.get_num_args(), k.get_cus().size());
        for (const auto &u : k.get_cus()) {
            std::printf("unit %s control %d base 0x%llx size %zu args %zu\n", u.get_name().c_str(),
                        static_cast<int>(u.get_control_type()), (unsigned long long)u.get_base_address(), u.get_size(),
                        u.get_num_args());
            for (const auto &a : u.get_args()) print_argument(u.get_name().c_str(), a);
        }
    }
    for (const auto &ip : x.get_ips()) std::printf("ip %s\n", ip.get_name().c_str());
}

static void print_sections(const xrt::xclbin &x) {
    auto ips = x.get_axlf_section<const ::ip_layout *>(IP_LAYOUT);
    for (int i = 0; i < ips->m_count; i++)
        std::printf("layout %d type %u interrupt %u id %u\n", i, ips->m_ip_data[i].m_type,
                    ips->m_ip_data[i].properties & IP_INT_ENABLE_MASK,
                    (ips->m_ip_data[i].properties & IP_INTERRUPT_ID_MASK) >> IP_INTERRUPT_ID_SHIFT);
    auto clocks = x.get_axlf_section<const ::clock_freq_topology *>(CLOCK_FREQ_TOPOLOGY);
    for (int i = 0; i < clocks->m_count; i++)
        std::printf("clock %s type %d mhz %d\n", clocks->m_clock_freq[i].m_name, clocks->m_clock_freq[i].m_type,
                    clocks->m_clock_freq[i].m_freq_Mhz);
    auto plain = x.get_axlf_section<const ::mem_topology *>(MEM_TOPOLOGY);
    std::printf("topology %d\n", plain->m_count);
    auto build = x.get_axlf_section<const char *>(BUILD_METADATA);
    auto section = ::xclbin::get_axlf_section(x.get_axlf(), BUILD_METADATA); /* its text ends without a zero */
    std::printf("build %.*s", static_cast<int>(section->m_sectionSize), build);
}

static int print_by_c(const char *path) {
    char name[64];
    int size;
    xuid_t id;
    char text[37];
    auto x = xrtXclbinAllocFilename(path);
    if (!x || xrtXclbinGetXSAName(x, name, sizeof name, &size) || xrtXclbinGetUUID(x, id)) return 1;
    uuid_unparse_lower(id, text);
    std::printf("c xsa %s\nc uuid %s\nc kernels %zu units %zu\n", name, text, xrtXclbinGetNumKernels(x),
                xrtXclbinGetNumKernelComputeUnits(x));
    return xrtXclbinFreeHandle(x);
}

int main(int argc, char **argv) try {
    static const char *const targets[] = {"hw", "sw_emu", "hw_emu"};
    if (argc != 2) return 2;
    xrt::xclbin x{std::string(argv[1])};
    std::printf("xsa %s\nuuid %s\ntarget %s\ndevice %s\n", x.get_xsa_name().c_str(), x.get_uuid().to_string().c_str(),
                targets[static_cast<int>(x.get_target_type())], x.get_fpga_device_name().c_str());
    print_memories(x);
    print_units(x);
    print_sections(x);
    return print_by_c(argv[1]);
} catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}

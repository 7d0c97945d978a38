/**
 * Refuses a processor below the one the addon is compiled for.
 *
 * @param arch as `process.arch`
 * @param cpuinfo the text of /proc/cpuinfo
 * @throws Error with code ERR_UNSUPPORTED, naming the missing features
 */
export declare function checkProcessor(arch: string, cpuinfo: string): void;

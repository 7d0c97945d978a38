// The engine's own probe of a disk (native/engine/platform/disk_probe.h), in a process of its own: it cannot be ended
// otherwise, and a file with no name goes with its process.
import { call } from '../../dispatcher.ts';
import { native } from '../../native.ts';
import type { Device, DeviceOptions } from './device.ts';
import { answer } from './trials.ts';

answer(({ folder, fileBytes, seconds, depths }: DeviceOptions) =>
  call<Omit<Device, 'source'>>((ticket) => native.probeDisk(ticket, folder, fileBytes, seconds, depths)),
);

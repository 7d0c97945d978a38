#!/usr/bin/env node
// The command `thermocline`.
import { exitAfter } from './exit.ts';

exitAfter(async () => (await import('./program.ts')).runProgram(process.argv));

import { defineConfig } from 'vitest/config';

// Two projects: `unit` needs neither root nor a kernel and runs in parallel; `kernel` loads programs, makes network
// namespaces and sends packets, so its files run one after the other.
export default defineConfig({
  test: {
    reporters: ['default', './test/helpers/reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/{unit,scenario,kubernetes}/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'kernel',
          include: ['test/{native,packet,socket,dataplane,e2e,kernels}/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          // Machines that run CI are shared, and some of these tests have clocks. What needs its second try is listed.
          retry: process.env.CI ? 1 : 0,
          pool: 'forks',
        },
      },
    ],
  },
});

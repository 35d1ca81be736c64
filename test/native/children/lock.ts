// Tries to lock a path; prints whether it got it, and holds it until its input ends.
import { openNative } from '../../../src/native/binding.js';

const fd = openNative().lock(process.argv[2]!);
console.log(fd >= 0 ? 'locked' : 'taken');
process.stdin.resume();

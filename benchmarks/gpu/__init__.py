"""What a machine with one GPU makes of a stage, a teacher's pass and a sweep: python -m benchmarks.gpu [--parts ...].

speed      seconds a step with the teacher in the loop and with a store
host       a step's host time beside its device time: kernels, copies, waits of the host for the device
precision  float32, TF32, bfloat16
graphs     a step captured as a CUDA graph, replayed
compile    the student compiled
store      the teacher's pass: alone, and with what a store keeps
cells      cells a minute at several at once
"""

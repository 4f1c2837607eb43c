"""What a machine with one GPU makes of a stage, a teacher's pass and a sweep: python -m benchmarks.gpu [--parts ...].

speed      milliseconds of a Trainer's step: with the teacher in the loop, with a store, and replayed as a CUDA graph
host       a launched step's time beside its device time: kernels, copies, waits of the host for the device
precision  float32, TF32, bfloat16
compile    the student compiled
store      the teacher's pass: alone, and with what a store keeps
cells      cells a minute at several at once
"""

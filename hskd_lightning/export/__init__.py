"""Students people can take away: a Hugging Face folder, ONNX and int8 ONNX, a model card, and what each of them costs.

runs/<cell_id>/export/
  config.json model.safetensors tokenizer...     for transformers (a ROSITA: see its model card)
  onnx/model.onnx                                for onnxruntime, with no code of ours; any batch, any length
  onnx/model_int8.onnx                           the same, matrix products in int8
  README.md                                      the model card: scores, costs, where it comes from
  export.json                                    the figures, teacher against student
"""

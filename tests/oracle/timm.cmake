# timm runs the same weights on the same images: logits, gradients, and our exported file back into timm.
bit_executable(timm_logits SOURCES ${CMAKE_CURRENT_LIST_DIR}/timm_logits.cpp LINK bit_trainer fmt::fmt)
set_target_properties(timm_logits PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME oracle.resnet_equals_timm
         COMMAND ${CMAKE_SOURCE_DIR}/build/oracle-venv/bin/python ${CMAKE_CURRENT_LIST_DIR}/timm_model.py
                 $<TARGET_FILE:timm_logits>)
set_tests_properties(oracle.resnet_equals_timm PROPERTIES LABELS oracle TIMEOUT 600)

# Weight files of numpy and timm in, ours back into them.
add_test(NAME oracle.weights_pass_between_programs
         COMMAND ${CMAKE_SOURCE_DIR}/build/oracle-venv/bin/python ${CMAKE_CURRENT_LIST_DIR}/weight_formats.py
                 ${CMAKE_BINARY_DIR}/bin/bit-model $<TARGET_FILE:timm_logits>)
set_tests_properties(oracle.weights_pass_between_programs PROPERTIES LABELS oracle TIMEOUT 600)

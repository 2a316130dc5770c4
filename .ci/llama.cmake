# Read by CMake right after llama-cpp-python's `project(llama_cpp)`; make_venv.py names it.
#
# llama-cpp-python forces LLAMA_BUILD_COMMON on in the cache, and installs a library that nothing in it loads.
# A normal variable stands before a cached one, so this leaves out llama.cpp's chat templates, argument parser
# and HTTP client: together with the image library (LLAVA_BUILD) 110 of 193 build steps. libllama exports the
# same symbols with and without.
set(LLAMA_BUILD_COMMON OFF)

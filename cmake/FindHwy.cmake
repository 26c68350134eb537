# Google Highway: Debian ships pkg-config files only.
find_path(Hwy_INCLUDE_DIR hwy/highway.h)
find_library(Hwy_LIBRARY hwy)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Hwy REQUIRED_VARS Hwy_LIBRARY Hwy_INCLUDE_DIR)
if(Hwy_FOUND AND NOT TARGET Hwy::hwy)
  add_library(Hwy::hwy UNKNOWN IMPORTED)
  set_target_properties(Hwy::hwy PROPERTIES IMPORTED_LOCATION ${Hwy_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${Hwy_INCLUDE_DIR})
endif()

# Installs the built library, its headers, what CMake and pkg-config find them by, and the sources of
# the torch extension. Included by the root Makefile; works alone too: make -f bindings/cpp/install.mk install-native PREFIX=/usr/local
#
#   PREFIX     where to                                        /usr/local
#   LIBDIR     folder of libraries, below PREFIX               lib
#   DESTDIR    put in front of all paths, for packagers
#   LIBRARIES  where Cargo put libsmlp.so and libsmlp.a        target/release

PREFIX ?= /usr/local
LIBDIR ?= lib

smlp_root := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))../..)
LIBRARIES ?= $(smlp_root)/target/release

smlp_version := $(shell sed -n 's/^version = "\(.*\)"/\1/p' $(smlp_root)/Cargo.toml | head -n 1)
# Number of the SONAME, which build.rs sets too.
smlp_abi := 0
# rustc --print native-static-libs, without what compilers add by themselves.
smlp_system := -lpthread -lm -ldl -lrt -lutil

smlp_lib := $(DESTDIR)$(PREFIX)/$(LIBDIR)
smlp_include := $(DESTDIR)$(PREFIX)/include
smlp_pkgconfig := $(smlp_lib)/pkgconfig
smlp_cmake := $(smlp_lib)/cmake/smlp
# Sources that a torch of the user's own is needed to build.
smlp_extension := $(DESTDIR)$(PREFIX)/share/smlp/lltm
smlp_licenses := $(DESTDIR)$(PREFIX)/share/licenses/smlp

# What the library has besides: -DSMLP_NET if it was built with the cargo feature "net".
smlp_defines = $(if $(shell nm -D --defined-only '$(LIBRARIES)/libsmlp.so' | grep -w smlp_transport_connect),-DSMLP_NET)

# $(call smlp_template,source,folder): fills a template in; paths become relative to its folder.
smlp_template = sed \
  -e 's|@VERSION@|$(smlp_version)|g' \
  -e 's|@ABI@|$(smlp_abi)|g' \
  -e 's|@LIBDIR@|$(LIBDIR)|g' \
  -e 's|@SYSTEM@|$(smlp_system)|g' \
  -e 's|@DEFINES@|$(addprefix \x20,$(smlp_defines))|g' \
  -e 's|@DEFINES_CMAKE@|$(patsubst -D%,%,$(smlp_defines))|g' \
  -e "s|@SYSTEM_CMAKE@|`echo '$(smlp_system)' | sed 's/-l//g; s/ /;/g'`|g" \
  -e "s|@UP@|`realpath -m --relative-to='$(2)' '$(DESTDIR)$(PREFIX)'`|g" \
  '$(smlp_root)/bindings/cpp/$(1).in' > '$(2)/$(1)'

.PHONY: install-native uninstall-native

install-native:
	install -d '$(smlp_lib)' '$(smlp_include)/smlp' '$(smlp_pkgconfig)' '$(smlp_cmake)' '$(smlp_extension)' '$(smlp_licenses)'
	install -m 755 '$(LIBRARIES)/libsmlp.so' '$(smlp_lib)/libsmlp.so.$(smlp_version)'
	ln -sf libsmlp.so.$(smlp_version) '$(smlp_lib)/libsmlp.so.$(smlp_abi)'
	ln -sf libsmlp.so.$(smlp_abi) '$(smlp_lib)/libsmlp.so'
	install -m 644 '$(LIBRARIES)/libsmlp.a' '$(smlp_lib)/libsmlp.a'
	install -m 644 '$(smlp_root)/include/smlp.h' '$(smlp_root)/bindings/cpp/smlp.hpp' '$(smlp_include)'
	install -m 644 '$(smlp_root)'/bindings/cpp/smlp/*.hpp '$(smlp_include)/smlp'
	install -m 644 '$(smlp_root)'/bindings/cpp/lltm*.[ch]pp '$(smlp_root)/bindings/cpp/setup.py' '$(smlp_extension)'
	@$(call smlp_template,smlp.pc,$(smlp_pkgconfig))
	@$(call smlp_template,smlpConfig.cmake,$(smlp_cmake))
	@$(call smlp_template,smlpConfigVersion.cmake,$(smlp_cmake))
	@for file in $(wildcard $(smlp_root)/LICENSE* $(smlp_root)/COPYING* $(smlp_root)/LICENSES/*); do \
	  install -m 644 "$$file" '$(smlp_licenses)' || exit 1; done

uninstall-native:
	rm -f '$(smlp_lib)/libsmlp.so' '$(smlp_lib)/libsmlp.so.$(smlp_abi)' \
	  '$(smlp_lib)/libsmlp.so.$(smlp_version)' '$(smlp_lib)/libsmlp.a' \
	  '$(smlp_include)/smlp.h' '$(smlp_include)/smlp.hpp' '$(smlp_pkgconfig)/smlp.pc'
	rm -rf '$(smlp_include)/smlp' '$(smlp_cmake)' '$(DESTDIR)$(PREFIX)/share/smlp' '$(smlp_licenses)'
